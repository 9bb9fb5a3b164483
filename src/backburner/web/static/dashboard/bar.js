// The filter bar: completes the word that is being typed, and takes the last filter back into the field by Backspace.

const form = document.querySelector("[data-bar]");
const MOST = 8;

if (form) {
  const field = form.querySelector("#q"), whole = form.querySelector("[data-whole]"), known = JSON.parse(form.dataset.bar);
  const list = document.createElement("ul");
  let chosen = -1;

  list.className = "popover overlay";
  list.id = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Filters");
  list.hidden = true;
  form.append(list);
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", "false"], ["aria-controls", list.id], ["aria-autocomplete", "list"]]) {
    field.setAttribute(name, value);
  }

  const quoted = (value) => (/^[^\s,"*:-][^\s,"*]*$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`);
  const texts = (selector) => [...new Set([...document.querySelectorAll(selector)].map((one) => one.textContent.trim()).filter(Boolean))];
  const counts = () => Object.fromEntries([...document.querySelectorAll("[data-count-of]")].map((chip) => [chip.dataset.countOf, chip.textContent]));

  /** The values that are known for a key: from the server, or as they stand in the list. */
  function values(key) {
    if (known.values[key]) return known.values[key];
    if (key === "owner") return texts("td.c-owner a");
    if (key === "tag") return texts("td.c-tags a.tag");
    if (key === "error") return texts("td.c-message.bb-failed span").map((text) => text.split(":")[0]);
    if (key === "created" || key === "finished") return ["<1h", "<24h", ">2h", ">7d"];
    return [];
  }

  /** What the word could become: each with the text it stands for and a remark. */
  function offers(word) {
    const minus = word.startsWith("-") ? "-" : "", rest = word.slice(minus.length), at = rest.indexOf(":");
    if (at < 0) {
      return Object.entries(known.keys).filter(([key]) => key.startsWith(rest.toLowerCase()))
        .map(([key, example]) => ({ text: `${minus}${key}:`, remark: `such as ${example}`, open: true }));
    }
    const key = rest.slice(0, at).toLowerCase(), begun = rest.slice(at + 1).replace(/^"/, "").toLowerCase(), number = counts();
    const found = [...new Set(values(key))].filter((value) => value.toLowerCase().includes(begun))
      .map((value) => ({ text: `${minus}${key}:${"<>".includes(value[0]) ? value : quoted(value)}`, remark: key === "state" ? number[value] ?? "" : "" }));
    if (begun && !begun.includes("*") && ["task", "identifier", "owner", "error", "queue", "tag"].includes(key)) {
      found.push({ text: `${minus}${key}:${begun}*`, remark: "all that begin so" });
      if (!minus) found.push({ text: `-${key}:${begun}*`, remark: "all others" });
    }
    return found;
  }

  const word = () => /\S*$/.exec(field.value.slice(0, field.selectionStart))[0];
  const options = () => [...list.querySelectorAll("[role=option]")];

  function mark(place) {
    const all = options();
    chosen = all.length ? (place + all.length) % all.length : -1;
    all.forEach((one, number) => one.setAttribute("aria-selected", String(number === chosen)));
    if (chosen >= 0) field.setAttribute("aria-activedescendant", all[chosen].id);
    else field.removeAttribute("aria-activedescendant");
  }

  function hide() {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
    chosen = -1;
  }

  function draw() {
    const typed = word(), found = offers(typed).slice(0, MOST);
    if (!found.length || (found.length === 1 && found[0].text === typed)) return hide();
    list.replaceChildren(...found.map((offer, number) => {
      const item = document.createElement("li"), text = document.createElement("div"), remark = document.createElement("span");
      const same = offer.text.toLowerCase().startsWith(typed.toLowerCase()) ? typed.length : 0, strong = document.createElement("b");
      strong.textContent = offer.text.slice(0, same);
      text.append(strong, offer.text.slice(same));
      remark.textContent = offer.remark;
      item.id = `completion-${number}`;
      item.setAttribute("role", "option");
      item.dataset.text = offer.text;
      item.append(text, remark);
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(item); });
      return item;
    }));
    const hint = document.createElement("li");
    hint.setAttribute("role", "presentation");
    hint.className = "hint";
    hint.textContent = "\u2191 \u2193 choose, Tab accept, Enter search";
    list.append(hint);
    list.hidden = false;
    list.style.insetInlineStart = `${Math.max(0, Math.min(field.offsetLeft - 8, form.clientWidth - list.offsetWidth))}px`;
    field.setAttribute("aria-expanded", "true");
    options().forEach((one) => one.setAttribute("aria-selected", "false"));
    field.removeAttribute("aria-activedescendant");
    chosen = -1;
  }

  function take(item) {
    const end = field.selectionStart, start = end - word().length, text = item.dataset.text;
    field.setRangeText(text.endsWith(":") ? text : `${text} `, start, end, "end");
    draw();
  }

  field.addEventListener("input", draw);
  field.addEventListener("focus", draw);
  field.addEventListener("blur", hide);
  field.addEventListener("keydown", (event) => {
    const open = !list.hidden;
    if (event.key === "ArrowDown" && open) mark(chosen + 1);
    else if (event.key === "ArrowUp" && open) mark(chosen < 0 ? -1 : chosen - 1);
    else if (event.key === "Tab" && open && !event.shiftKey && field.value) take(options()[Math.max(chosen, 0)]);
    else if (event.key === "Enter" && open && chosen >= 0) take(options()[chosen]);
    else if (event.key === "Escape" && open) hide();
    else if (event.key === "Backspace" && !field.value && whole) {
      const last = [...form.querySelectorAll(".token")].pop();
      whole.value = [...form.querySelectorAll("[data-word]")].slice(0, -1).map((one) => one.dataset.word).join(" ");
      field.value = last.querySelector("[data-word]").dataset.word;
      last.remove();
      draw();
    } else return;
    event.preventDefault();
  });
}

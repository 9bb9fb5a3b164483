// The filter bar: completes the word that is being typed, and takes the last filter back into the field by Backspace.

const form = document.querySelector("[data-bar]");

if (form) {
  const field = form.querySelector("#q"), whole = form.querySelector("[data-whole]"), list = document.createElement("ul");
  let chosen = -1, start = 0, asked = 0;

  list.className = "popover overlay";
  list.id = "completions";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Filters");
  list.hidden = true;
  form.append(list);
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", "false"], ["aria-controls", list.id], ["aria-autocomplete", "list"]]) {
    field.setAttribute(name, value);
  }

  const options = () => [...list.querySelectorAll("[role=option]")];

  function mark(place) {
    const all = options();
    chosen = all.length && place >= 0 ? place % all.length : -1;
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

  function line(words, name) {
    const item = document.createElement("li");
    item.setAttribute("role", "presentation");
    item.className = name;
    item.textContent = words;
    return item;
  }

  function option(offer, number, before, typed) {
    const item = document.createElement("li"), text = document.createElement("div"), remark = document.createElement("span");
    const strong = document.createElement("b"), same = offer.text.toLowerCase().startsWith(typed.toLowerCase()) ? typed.length : 0;
    strong.textContent = before + offer.text.slice(0, same);
    text.append(strong, offer.text.slice(same));
    remark.textContent = offer.count === null ? (offer.label === offer.text ? "" : offer.label) : offer.count >= 1000 ? "1,000+" : String(offer.count);
    item.id = `completion-${number}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", "false");
    item.dataset.text = offer.text;
    item.append(text, remark);
    item.addEventListener("mousedown", (event) => { event.preventDefault(); take(item); });
    return item;
  }

  function draw(found, text) {
    const typed = text.slice(found.start), before = /\S*$/.exec(text.slice(0, found.start))[0];
    const offers = [...found.values, ...found.patterns];
    start = found.start;
    if (!offers.length || (offers.length === 1 && offers[0].text === typed)) return hide();
    const items = offers.map((offer, number) => option(offer, number, before, typed));
    if (found.patterns.length && found.values.length) items.splice(found.values.length, 0, line("Patterns", ""));
    list.replaceChildren(...items, line("\u2191 \u2193 choose, Tab accept, Enter search", "hint"));
    list.hidden = false;
    list.style.insetInlineStart = `${Math.max(0, Math.min(field.offsetLeft - 8, form.clientWidth - list.offsetWidth))}px`;
    field.setAttribute("aria-expanded", "true");
    mark(-1);
  }

  async function ask() {
    const text = field.value.slice(0, field.selectionStart), number = ++asked;
    try {
      const answer = await fetch(`${form.dataset.bar}?${new URLSearchParams({ text })}`, { headers: { Accept: "application/json" } });
      // An answer that another one has overtaken, or that comes when the field was left.
      if (number === asked && answer.ok && document.activeElement === field) draw(await answer.json(), text);
    } catch {
      hide();
    }
  }

  function take(item) {
    const text = item.dataset.text;
    field.setRangeText(text.endsWith(":") ? text : `${text} `, start, field.selectionStart, "end");
    ask();
  }

  field.addEventListener("input", ask);
  field.addEventListener("focus", ask);
  field.addEventListener("blur", () => { asked++; hide(); });
  field.addEventListener("keydown", (event) => {
    const open = !list.hidden;
    if (event.key === "ArrowDown" && open) mark(chosen + 1);
    else if (event.key === "ArrowUp" && open) mark(chosen - 1);
    else if (event.key === "Tab" && open && !event.shiftKey && field.value) take(options()[Math.max(chosen, 0)]);
    else if (event.key === "Enter" && open && chosen >= 0) take(options()[chosen]);
    else if (event.key === "Escape" && open) hide();
    else if (event.key === "Backspace" && !field.value && whole) {
      const last = [...form.querySelectorAll(".token")].pop();
      whole.value = [...form.querySelectorAll("[data-word]")].slice(0, -1).map((one) => one.dataset.word).join(" ");
      field.value = last.querySelector("[data-word]").dataset.word;
      last.remove();
      ask();
    } else return;
    event.preventDefault();
  });
}

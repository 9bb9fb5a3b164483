// Makes one piece of the page like another, node by node: focus, ticks, open menus and gliding bars stay.

/** What a script has set, or a person has opened: a new page says nothing of it. */
const KEPT = new Set(["open", "data-at"]);
const own = (element, name) => KEPT.has(name) || (name === "hidden" && element.matches("[data-copy], [data-pick-all], [data-find-line]"));
const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.job : undefined);

export function morph(from, to) {
  if (from.isEqualNode(to)) return;
  if (from.nodeName !== to.nodeName || key(from) !== key(to)) {
    from.replaceWith(document.importNode(to, true));
  } else if (from.nodeType === Node.ELEMENT_NODE) {
    attributes(from, to);
    children(from, to);
  } else if (from.nodeValue !== to.nodeValue) {
    from.nodeValue = to.nodeValue;
  }
}

function attributes(from, to) {
  for (const { name } of [...from.attributes]) if (!to.hasAttribute(name) && !own(from, name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) {
    if (!own(from, name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function children(from, to) {
  const keyed = new Map([...from.childNodes].filter(key).map((node) => [key(node), node]));
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const known = key(wanted) && keyed.get(key(wanted));
    if (known) {
      if (known !== at) from.insertBefore(known, at);
      at = known.nextSibling;
      morph(known, wanted);
    } else if (at && !key(at) && !key(wanted)) {
      const next = at.nextSibling;
      morph(at, wanted);
      at = next;
    } else {
      from.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

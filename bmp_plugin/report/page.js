"use strict";
// columns sort by a click on their header
for (const header of document.querySelectorAll("table.sortable thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => {
    const body = header.closest("table").tBodies[0];
    const column = [...header.parentNode.children].indexOf(header);
    const descending = header.getAttribute("aria-sort") === "ascending";
    const key = row => {
      const text = row.cells[column].textContent.trim(), number = Number(text.replaceAll(",", ""));
      return text !== "" && Number.isFinite(number) ? [0, number, ""] : [1, 0, text];
    };
    const compare = (a, b) => a[0] - b[0] || a[1] - b[1] || a[2].localeCompare(b[2], undefined, {numeric: true});
    const rows = [...body.rows].map(row => [key(row), row]);
    rows.sort((a, b) => descending ? compare(b[0], a[0]) : compare(a[0], b[0]));
    body.append(...rows.map(([, row]) => row));
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  });
}
// lists of queries that differ are searched, and shown in pages of fifty
const PAGE = 50;
for (const list of document.querySelectorAll(".queries")) {
  const entries = [...list.querySelectorAll(":scope > details")];
  if (entries.length < 10) continue;
  const texts = entries.map(entry => entry.textContent.toLowerCase());
  const controls = list.querySelector(".controls"), box = controls.querySelector("input"), state = controls.querySelector("output");
  const [back, forward] = controls.querySelectorAll("button");
  let first = 0;
  const show = () => {
    const wanted = box.value.trim().toLowerCase();
    const found = entries.filter((_, i) => texts[i].includes(wanted));
    const shown = new Set(found.slice(first, first + PAGE));
    for (const entry of entries) entry.hidden = !shown.has(entry);
    const count = found.length.toLocaleString("en");
    state.textContent = found.length ? `${first + 1} to ${first + shown.size} of ${count}` : "None";
    back.disabled = first === 0;
    forward.disabled = first + PAGE >= found.length;
    back.hidden = forward.hidden = found.length <= PAGE;
  };
  box.addEventListener("input", () => { first = 0; show(); });
  back.addEventListener("click", () => { first -= PAGE; show(); });
  forward.addEventListener("click", () => { first += PAGE; show(); });
  controls.hidden = false;
  show();
}

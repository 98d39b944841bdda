"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th"), table = header.closest("table"), body = table.tBodies[0];
    const column = [...header.parentNode.children].indexOf(header);
    const descending = header.getAttribute("aria-sort") === "ascending";
    const key = row => {
      const cell = row.cells[column], text = cell.dataset.value ?? cell.textContent.trim();
      const number = Number(text.replaceAll(",", ""));
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

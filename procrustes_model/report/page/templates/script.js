"use strict";
for (const table of document.querySelectorAll("table.sorts")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th").forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const sorted = head.getAttribute("aria-sort");
      const first = head.classList.contains("t") ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = sorted === first ? other : first;
      table.tHead.querySelectorAll("th").forEach(one => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const key = row => row.cells[column].dataset.v;
      const number = key => key === "" ? NaN : Number(key);
      const text = head.classList.contains("t");
      [...body.rows].sort((a, b) => {
        if (text) return sign * key(a).localeCompare(key(b), "en", { numeric: true });
        const x = number(key(a)), y = number(key(b));
        if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
        return sign * (x - y);
      }).forEach(row => body.append(row));
    });
  });
}
for (const box of document.querySelectorAll(".filters")) {
  const table = document.getElementById(box.dataset.table);
  const inputs = [...box.querySelectorAll("[data-column]")];
  const count = box.querySelector("output");
  const apply = () => {
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !inputs.every(one => {
        const value = row.cells[one.dataset.column].dataset.v;
        return one.value === "" || (one.tagName === "SELECT" ? value === one.value
          : value.toLowerCase().includes(one.value.toLowerCase()));
      });
      shown += !row.hidden;
    }
    count.textContent = shown + " of " + table.tBodies[0].rows.length + " rows";
  };
  inputs.forEach(one => one.addEventListener("input", apply));
  apply();
}

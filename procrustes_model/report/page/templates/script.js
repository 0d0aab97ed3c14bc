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
for (const table of document.querySelectorAll("table.sorts")) {
  const heads = [...table.tHead.rows[0].cells];
  const name = head => head.textContent.trim() + (head.dataset.unit ? " [" + head.dataset.unit + "]" : "");
  const make = (tag, parent, text) => {
    const made = parent.appendChild(document.createElement(tag));
    if (text) made.textContent = text;
    return made;
  };
  const tools = document.createElement("div");
  tools.className = "tools";
  const box = make("details", tools);
  make("summary", box, "Columns");
  const list = make("div", box);
  heads.slice(1).forEach((head, number) => {
    const label = make("label", list);
    const tick = make("input", label);
    tick.type = "checkbox";
    tick.checked = true;
    label.append(" " + head.textContent.trim());
    tick.addEventListener("change", () => {
      for (const row of table.rows) row.cells[number + 1].hidden = !tick.checked;
    });
  });
  const save = make("button", tools, "Download CSV");
  save.type = "button";
  save.title = "what is shown, numbers with all digits";
  save.addEventListener("click", () => {
    const quoted = text => /[",\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
    const value = (cell, head) => head.classList.contains("t") ? cell.textContent : cell.dataset.v;
    const lines = [heads.filter(head => !head.hidden).map(name)];
    for (const row of table.tBodies[0].rows) {
      if (!row.hidden) lines.push([...row.cells].map((cell, at) => value(cell, heads[at])).filter((_, at) => !heads[at].hidden));
    }
    const text = lines.map(line => line.map(quoted).join(",")).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = (document.title + " " + table.id).replace(/[^A-Za-z0-9]+/g, "_") + ".csv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  table.closest(".scroll").before(tools);
}

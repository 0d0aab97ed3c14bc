"use strict";
for (const box of document.querySelectorAll(".explore")) {
  const table = document.getElementById(box.dataset.table), drawing = box.querySelector("svg");
  const tip = box.querySelector("output"), logs = box.querySelector("[name=log]");
  const choice = name => box.querySelector(`select[name=${name}]`);
  const heads = [...table.tHead.querySelectorAll("th")];
  const colors = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#999999", "#7a5230"];
  const last = heads.findIndex(head => head.textContent.trim() === "Front");
  const width = 720, height = 380, left = 80, right = 20, top = 14, bottom = 46;
  const make = (name, attributes, text) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
    if (text !== undefined) one.textContent = text;
    drawing.append(one);
    return one;
  };
  const title = head => head.textContent.trim() + (head.dataset.unit ? ` [${head.dataset.unit}]` : "");
  const short = value => Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-2)
    ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  const scale = (rows, column, from, to) => {
    const words = heads[column].classList.contains("t");
    const value = row => row.cells[column].dataset.v;
    if (words) {
      const names = [...new Set([...table.tBodies[0].rows].map(value))]
        .sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      const step = (to - from) / names.length;
      const place = row => from + step * (names.indexOf(value(row)) + .5);
      return { place, marks: names.map((name, i) => [from + step * (i + .5), name]) };
    }
    const known = rows.map(row => Number(value(row)));
    const log = logs.checked && Math.min(...known) > 0, bent = log ? Math.log : x => x;
    let low = bent(Math.min(...known)), high = bent(Math.max(...known));
    const room = (high - low || Math.abs(high) || 1) * .06;
    low -= room; high += room;
    const at = x => from + (to - from) * (bent(x) - low) / (high - low);
    const marks = [0, .25, .5, .75, 1].map(share => {
      const inner = low + room + (high - low - 2 * room) * share, x = log ? Math.exp(inner) : inner;
      return [at(x), short(x)];
    });
    return { place: row => at(Number(value(row))), marks };
  };
  const draw = () => {
    drawing.replaceChildren();
    tip.textContent = "";
    const [x, y] = ["x", "y"].map(name => Number(choice(name).value)), by = choice("color").value;
    const there = row => [x, y].every(one => row.cells[one].dataset.v !== "");
    const rows = [...table.tBodies[0].rows].filter(row => !row.hidden && there(row));
    if (!rows.length) { make("text", { x: left, y: height / 2 }, "no points"); return; }
    const across = scale(rows, x, left, width - right), up = scale(rows, y, height - bottom, top);
    make("path", { d: `M${left} ${top}V${height - bottom}H${width - right}`, class: "frame" });
    for (const [at, text] of across.marks)
      make("text", { x: at, y: height - bottom + 16, "text-anchor": "middle" }, text);
    for (const [at, text] of up.marks) make("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, text);
    make("text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle" },
      title(heads[x]));
    make("text", { x: 14, y: height / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${height / 2})` },
      title(heads[y]));
    const key = row => by === "" ? "" : row.cells[Number(by)].textContent;
    const keys = [...new Set(rows.map(key))].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    for (const row of rows) {
      const color = colors[keys.indexOf(key(row)) % colors.length], front = row.cells[last].dataset.v !== "";
      const one = make("circle", { cx: across.place(row), cy: up.place(row), r: front ? 6 : 4, tabindex: 0,
        fill: color, stroke: color, "stroke-width": 2, class: front ? "front" : "hollow" });
      const show = () => {
        tip.textContent = heads.map((head, i) => [head.textContent.trim(), row.cells[i].textContent])
          .filter(pair => pair[1] !== "").map(pair => pair.join(" ")).join(" · ");
      };
      one.addEventListener("mouseenter", show);
      one.addEventListener("focus", show);
    }
    if (by !== "") keys.slice(0, 16).forEach((name, i) => {
      make("circle", { cx: width - right - 6, cy: top + 8 + 15 * i, r: 4, fill: colors[i % colors.length] });
      make("text", { x: width - right - 14, y: top + 12 + 15 * i, "text-anchor": "end" }, name);
    });
  };
  document.addEventListener("input", draw);
  draw();
}

"""The page of a run in a browser, where there is one: its script does what it says, and loads nothing."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from procrustes_model.network.result import NetworkResult
from procrustes_model.report.page.network import html_text

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)
TRY = """
<script>
(async () => {
  const found = {}, of = id => document.getElementById(id);
  const rows = () => [...of("layers").tBodies[0].rows];
  const loads = performance.getEntriesByType("resource").map(one => one.name);
  window.addEventListener("error", event => { found.error = event.message; });
  let saved = null;
  URL.createObjectURL = blob => { saved = blob; return "#"; };
  of("layers").tHead.querySelectorAll("button")[5].click();
  found.sorted = rows().map(row => Number(row.cells[5].dataset.v));
  const tools = of("layers").closest(".scroll").previousElementSibling;
  const ticks = [...tools.querySelectorAll("input")];
  ticks[0].click();
  found.kinds = rows().filter(row => row.cells[1].offsetParent !== null).length;
  const filter = document.querySelector("[data-table=layers] select[data-column='3']");
  filter.value = "procrustes";
  filter.dispatchEvent(new Event("input"));
  found.shown = rows().filter(row => !row.hidden).map(row => row.cells[3].textContent);
  tools.querySelector("button").click();
  found.csv = await saved.text();
  document.querySelector("details.mapping").open = true;
  found.tiles = [...document.querySelector(".nest").querySelectorAll(".held b")].map(one => one.textContent);
  found.wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  found.loads = loads;
  const out = document.body.appendChild(document.createElement("pre"));
  out.id = "found";
  out.textContent = JSON.stringify(found);
})();
</script>
</body>"""


@pytest.mark.skipif(BROWSER is None, reason="there is no browser")
def test_the_page_works_on_a_phone(tiny_run: NetworkResult, tmp_path: Path) -> None:
    page = tmp_path / "run.html"
    page.write_text(html_text(tiny_run).replace("</body>", TRY), encoding="utf-8")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    window = ["--window-size=500,900", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run(
        [str(BROWSER), *options, *window, page.as_uri()], capture_output=True, timeout=120, check=False
    )
    written = re.search(r'<pre id="found">(.*?)</pre>', done.stdout.decode("utf-8"), re.DOTALL)
    if written is None and done.returncode != 0:
        pytest.skip(f"the browser does not run here: {done.stderr.decode(errors='replace')[-200:]}")
    assert written is not None
    found = json.loads(unescape(written[1]))
    assert "error" not in found and found["loads"] == []
    assert found["sorted"] == sorted((row.case.energy_pj for row in tiny_run.rows), reverse=True)
    assert found["kinds"] == 0 and not found["wide"]
    mine = tiny_run.select("procrustes")
    assert found["shown"] == ["procrustes"] * len(mine)
    table = list(csv.DictReader(io.StringIO(found["csv"])))
    assert "Kind" not in table[0]
    assert sorted(float(row["Energy [pJ]"]) for row in table) == sorted(row.case.energy_pj for row in mine)
    assert set(found["tiles"]) == {"Weights", "Inputs", "Outputs"}

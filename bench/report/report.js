// What the page does: themes, sorting, filtering, choosing what is shown, the matrix's words, the charts.
// Text of a run is only ever set as text, never as markup.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const cells = page.cells;
  const alone = "forward"; // computes no gradient, and is compared with nothing
  const $ = (id) => document.getElementById(id);

  function element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  // Light and dark

  const darkOutside = window.matchMedia("(prefers-color-scheme: dark)");
  const remembered = (value) => {
    try { // a page from a file may have no storage
      if (value) localStorage.setItem("multigrad-theme", value);
      return localStorage.getItem("multigrad-theme");
    } catch { return null; }
  };
  const isDark = () => (document.documentElement.dataset.theme ?? (darkOutside.matches ? "dark" : "light")) === "dark";
  function theme(wanted) {
    if (wanted) document.documentElement.dataset.theme = wanted;
    $("theme").setAttribute("aria-pressed", String(isDark()));
  }
  theme(remembered());
  darkOutside.addEventListener("change", () => theme());
  $("theme").addEventListener("click", () => {
    const wanted = isDark() ? "light" : "dark";
    remembered(wanted);
    theme(wanted);
  });

  // Sorting and filtering

  function sortKey(row, column) {
    const cell = row.cells[column];
    const given = cell.dataset.sort;
    if (given === undefined) return cell.textContent.toLowerCase();
    if (given === "inf") return Infinity;
    return given === "" || Number.isNaN(Number(given)) ? given : Number(given);
  }

  function sort(table, column, direction) {
    const rows = [...table.tBodies[0].rows].map((row) => [sortKey(row, column), row]);
    const numeric = rows.some(([key]) => typeof key === "number");
    // What has no figure comes last, whichever way the others go.
    const known = ([key]) => !numeric || typeof key === "number";
    rows.sort((a, b) => {
      if (known(a) !== known(b)) return known(a) ? -1 : 1;
      if (!known(a)) return 0;
      const order = numeric ? (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0) : String(a[0]).localeCompare(String(b[0]), "en", { numeric: true });
      return direction === "descending" ? -order : order;
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
    for (const [i, head] of [...table.tHead.rows[0].cells].entries()) {
      if (i === column) head.setAttribute("aria-sort", direction);
      else head.removeAttribute("aria-sort");
    }
  }

  function sortable(table) {
    for (const [i, head] of [...table.tHead.rows[0].cells].entries()) {
      const button = element("button", { type: "button", textContent: head.textContent });
      button.addEventListener("click", () => sort(table, i, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"));
      head.replaceChildren(button);
      head.classList.toggle("number", table.tBodies[0].rows[0]?.cells[i]?.dataset.sort !== undefined);
    }
  }

  function filter(block) {
    const words = (block.querySelector(".filter")?.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const amiss = block.querySelector("#amiss")?.checked ?? false;
    const rows = block.querySelector("tbody").rows;
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const cell = row.dataset.cell === undefined ? null : cells[Number(row.dataset.cell)];
      row.hidden = !(words.every((word) => text.includes(word)) && (!cell || chosen(cell)) && !(amiss && row.dataset.verdict === "PASS"));
      shown += !row.hidden;
    }
    block.querySelector(".count").textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : "";
  }

  // What is shown

  const chips = [
    ["backend", (row) => row.device === undefined || row.device === "cpu" ? row.backend : `${row.backend}/${row.device}`],
    ["mode", (row) => row.mode],
    ["variant", (row) => row.variant === alone ? undefined : row.variant],
    ["dtype", (row) => row.dtype],
    ["setting", (row) => row.setting],
    ["machine", (row) => row.machine],
  ];
  const left = Object.fromEntries(chips.map(([name]) => [name, new Set()])); // what is not chosen

  function chosen(row) {
    return chips.every(([name, value]) => !left[name].has(value(row)));
  }

  function makeChips() {
    for (const [name, value] of chips) {
      const values = [...new Set(cells.map(value))].filter((v) => v !== undefined);
      if (values.length < 2) continue;
      const group = element("div", {}, element("span", { textContent: name }));
      for (const one of values) {
        const button = element("button", { type: "button", textContent: one });
        button.setAttribute("aria-pressed", "true");
        button.addEventListener("click", () => {
          const out = left[name];
          if (out.has(one)) out.delete(one); else out.add(one);
          button.setAttribute("aria-pressed", String(!out.has(one)));
          choose();
        });
        group.append(button);
      }
      $("chips").append(group);
    }
  }

  function choose() {
    for (const block of document.querySelectorAll(".table")) filter(block);
    for (const name of Object.keys(page.charts)) refresh(name);
  }

  // The matrix: one stop of the tabulator, arrow keys within

  function grid(table) {
    const tip = $("tip");
    const at = (cell) => [cell.parentElement.rowIndex, cell.cellIndex];
    const show = (cell) => {
      tip.textContent = `${cell.getAttribute("aria-label")}\n${cell.dataset.told}`;
      tip.hidden = false;
      cell.setAttribute("aria-describedby", "tip");
      const box = cell.getBoundingClientRect();
      tip.style.left = `${Math.max(8, Math.min(box.left, window.innerWidth - tip.offsetWidth - 8))}px`;
      const below = box.bottom + 6 + tip.offsetHeight < window.innerHeight;
      tip.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - tip.offsetHeight - 6)}px`;
    };
    const hide = () => { tip.hidden = true; };
    const told = (event) => event.target.closest?.("td[data-told]");
    table.addEventListener("pointerover", (event) => told(event) && show(told(event)));
    table.addEventListener("pointerout", hide);
    table.addEventListener("focusin", (event) => {
      if (!told(event)) return;
      table.querySelector("td[tabindex='0']")?.setAttribute("tabindex", "-1");
      told(event).setAttribute("tabindex", "0");
      show(told(event));
    });
    table.addEventListener("focusout", hide);
    table.addEventListener("click", (event) => told(event)?.focus());
    document.addEventListener("scroll", hide, { capture: true, passive: true });
    table.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide();
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step || !told(event)) return;
      event.preventDefault();
      let [row, column] = at(told(event));
      for (;;) { // over what is hidden and what is empty
        [row, column] = [row + step[0], column + step[1]];
        const next = table.rows[row]?.cells[column];
        if (!next) return;
        if (next.dataset.told !== undefined && !next.parentElement.hidden) {
          next.focus();
          next.scrollIntoView({ block: "nearest", inline: "nearest" });
          return show(next);
        }
      }
    });
    table.querySelector("td[data-told]")?.setAttribute("tabindex", "0");
  }

  // The charts

  const selected = {};
  const rowsOf = (name) => page.charts[name].rows.map((row) => typeof row === "number" ? cells[row] : row);

  function makeSelectors(name) {
    const chart = page.charts[name];
    selected[name] = {};
    for (const column of chart.chosen_by) {
      const counts = new Map();
      for (const row of rowsOf(name)) counts.set(row[column], (counts.get(row[column]) ?? 0) + 1);
      const values = [...counts.keys()];
      // Most of what there is comes first, so that the first picture says most; operations stay in their order.
      selected[name][column] = column === "operation" ? values[0] : values.reduce((a, b) => counts.get(b) > counts.get(a) ? b : a);
      if (values.length < 2) continue;
      const select = element("select", {}, ...values.map((value) => element("option", { value: String(value), textContent: String(value) })));
      select.value = selected[name][column];
      select.addEventListener("change", () => { selected[name][column] = select.value; draw(name); });
      document.querySelector(`#chart-${name} .selectors`).append(element("label", {}, element("span", { textContent: column }), select));
    }
  }

  function fitted(specification, width, rows) {
    const made = structuredClone(specification);
    if (made.facet) {
      const panels = new Set(rows.map((row) => row.where)).size;
      made.columns = Math.max(1, Math.min(panels, 3, Math.floor(width / 300)));
      made.spec.width = Math.floor(width / made.columns) - 75;
    } else {
      made.width = width;
      made.autosize = { type: "fit-x", contains: "padding" };
    }
    made.config.legend.columns = width < 500 ? 2 : 4;
    made.datasets = { ...made.datasets, rows };
    return made;
  }

  const drawn = new Map(); // name → the view, its width
  const waiting = new Set(Object.keys(page.charts));

  async function draw(name) {
    waiting.delete(name);
    const figure = $(`chart-${name}`);
    const [holder, said] = [figure.querySelector(".plot"), figure.querySelector(".said")];
    const all = rowsOf(name).filter((row) => Object.entries(selected[name]).every(([column, value]) => String(row[column]) === String(value)));
    const rows = all.filter(chosen);
    const out = all.length - rows.length;
    const barred = rows.filter((row) => row.barred).length;
    said.textContent = [
      rows.length ? "" : "There is nothing to draw of what is chosen.",
      out ? `${out} of ${all.length} are left out by what is chosen above.` : "",
      barred ? `${barred} of ${rows.length} cannot be trusted (hollow).` : "",
    ].filter(Boolean).join(" ");
    drawn.get(name)?.view.finalize();
    drawn.delete(name);
    if (!rows.length) return holder.replaceChildren();
    const width = holder.clientWidth;
    const { view } = await vegaEmbed(holder, fitted(page.charts[name].specification, width, rows), {
      mode: "vega-lite", actions: false, renderer: "svg", ast: true, defaultStyle: false, logLevel: 1,
      tooltip: { disableDefaultStyle: true, theme: "page" },
    });
    drawn.set(name, { view, width });
  }

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const name = entry.target.id.replace("chart-", "");
      if (entry.isIntersecting && waiting.has(name)) draw(name);
    }
  }, { rootMargin: "800px" });

  function refresh(name) {
    // What is not in sight is drawn when it comes there.
    waiting.add(name);
    const figure = $(`chart-${name}`);
    seen.unobserve(figure);
    seen.observe(figure);
  }

  window.multigradDrawAll = async () => { for (const name of [...waiting]) await draw(name); };
  window.addEventListener("beforeprint", () => window.multigradDrawAll());
  let pause;
  window.addEventListener("resize", () => {
    clearTimeout(pause);
    pause = setTimeout(() => {
      for (const [name, { width }] of drawn) {
        if ($(`chart-${name}`).querySelector(".plot").clientWidth !== width) refresh(name);
      }
    }, 200);
  });

  for (const table of document.querySelectorAll("table.sortable")) sortable(table);
  for (const block of document.querySelectorAll(".table")) block.addEventListener("input", () => filter(block));
  if ($("grid")) grid($("grid"));
  for (const name of Object.keys(page.charts)) makeSelectors(name);
  if ($("chips")) { makeChips(); choose(); }
})();

// Draws the charts in the chosen language, switches language, theme and run, sorts tables. No request is ever made.
(() => {
  "use strict";
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const drawn = new Map(); // element -> view in the page

  const kept = {
    get(name) { try { return localStorage.getItem("fintune." + name); } catch { return null; } },
    set(name, value) { try { localStorage.setItem("fintune." + name, value); } catch { /* a file may keep nothing */ } },
  };

  const font = getComputedStyle(document.body).fontFamily;
  const text = { labelFont: font, titleFont: font, labelColor: "var(--muted)", titleColor: "var(--muted)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
  const config = {
    background: null,
    font,
    view: { stroke: null },
    axis: { ...text, domainColor: "var(--rule)", tickColor: "var(--rule)", gridColor: "var(--rule)", titlePadding: 8, labelPadding: 6 },
    axisY: { labelLimit: 150 },
    axisBand: { grid: false, ticks: false, domain: false, labelColor: "var(--ink)" },
    legend: { ...text, labelColor: "var(--ink)", orient: "top", direction: "horizontal", symbolType: "circle", offset: 10, labelLimit: 240, title: null },
    bar: { binSpacing: 1 },
    text: { font },
  };
  const options = {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, config, // ast: the page's policy allows no eval
    tooltip: { disableDefaultStyle: true },
    formatLocale: { decimal: ".", thousands: ",", grouping: [3], currency: ["", ""], percent: "\u202f%" },
  };

  function spec(place) { return charts[root.lang][place]; }

  async function draw(element) {
    const language = root.lang;
    if (drawn.get(element)?.language === language) return;
    drawn.get(element)?.result?.finalize();
    drawn.set(element, { language });
    const found = structuredClone(spec(element.dataset.chart));
    const result = await vegaEmbed(element, { ...found, autosize: { type: "fit-x", contains: "padding" } }, options);
    drawn.set(element, { language, result });
  }

  function drawVisible() {
    const shown = [...document.querySelectorAll(".chart")].filter((element) => element.offsetParent !== null);
    return Promise.all(shown.map(draw)).then(() => { root.dataset.drawn = root.lang; });
  }

  function write(value, format) { // the few d3 formats of the charts; the bundle keeps d3 to itself
    if (!format || typeof value !== "number") return String(value ?? "–");
    if (format.endsWith("%")) return (100 * value).toFixed(1) + "\u202f%";
    const digits = /\.(\d+)f$/.exec(format)?.[1] ?? (format.endsWith("d") ? 0 : undefined);
    const fixed = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    return value.toLocaleString("en-US", digits === undefined ? { maximumSignificantDigits: 4 } : fixed);
  }

  function numbers(details) {
    details.querySelector("table")?.remove();
    const { usermeta: { columns }, data: { values } } = spec(details.dataset.numbers);
    const table = document.createElement("table");
    const headings = table.createTHead().insertRow();
    for (const { title, format } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col"; cell.textContent = title; cell.className = format ? "num" : "";
      headings.append(cell);
    }
    const body = table.createTBody();
    for (const row of values) {
      const line = body.insertRow();
      for (const { field, format } of columns) {
        const cell = line.insertCell();
        cell.textContent = write(row[field], format); cell.className = format ? "num" : "";
      }
    }
    details.append(table);
  }

  function setLanguage(language) {
    root.lang = language;
    kept.set("language", language);
    document.querySelectorAll("details.numbers[open]").forEach(numbers);
    return drawVisible();
  }

  function setTheme(theme) { root.dataset.theme = theme; kept.set("theme", theme); }

  function pick(key) {
    const pressed = document.getElementById("pick");
    if (!pressed || ![...pressed.options].some((option) => option.value === key)) return;
    pressed.value = key;
    document.querySelectorAll("article.run").forEach((run) => { run.hidden = run.id !== key; });
    drawVisible();
  }

  function follow() {
    const key = location.hash.slice(1);
    if (!key) return;
    pick(key.split("-")[0]);
    document.getElementById(key)?.scrollIntoView();
  }

  function sort(button) {
    const heading = button.closest("th");
    const table = button.closest("table");
    const column = [...heading.parentNode.children].indexOf(heading);
    const turn = heading.getAttribute("aria-sort") === (heading.classList.contains("num") ? "descending" : "ascending") ? 1 : 0;
    const down = heading.classList.contains("num") ? !turn : !!turn;
    heading.parentNode.querySelectorAll("th").forEach((other) => other.setAttribute("aria-sort", "none"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = (row) => row.children[column].dataset.sort ?? row.children[column].innerText.trim();
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === ""); // what has no value stays below
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y, root.lang, { numeric: true }) : x - y;
      return down ? -order : order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }

  document.getElementById("language").addEventListener("click", () => setLanguage(root.lang === "en" ? "zh" : "en"));
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    setTheme(now === "dark" ? "light" : "dark");
  });
  document.getElementById("pick")?.addEventListener("change", (event) => pick(event.target.value));
  document.querySelectorAll(".sortable th button").forEach((button) => button.addEventListener("click", () => sort(button)));
  document.querySelectorAll("details.numbers").forEach((details) => details.addEventListener("toggle", () => details.open && numbers(details)));
  window.addEventListener("hashchange", follow);

  if (kept.get("theme")) root.dataset.theme = kept.get("theme");
  const language = kept.get("language") || (navigator.language.startsWith("zh") ? "zh" : "en");
  setLanguage(language === "zh" ? "zh" : "en").then(follow);
})();

"use strict";
// Draws the charts of the page, and lets its check boxes, switches and sliders change them. Numbers come from the JSON in the page alone.
(() => {
  const numbers = JSON.parse(document.getElementById("numbers").textContent);
  const percent = new Intl.NumberFormat("en", { style: "percent", maximumSignificantDigits: 4 });
  const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
  const mean = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });
  const count = { format: (value) => (Number.isInteger(value) ? whole : mean).format(value) };

  // The page keeps columns; Vega wants rows.
  const rowsOf = (columns) => {
    const names = Object.keys(columns);
    return (columns[names[0]] || []).map((_, k) => Object.fromEntries(names.map((name) => [name, columns[name][k]])));
  };

  const setScales = (node, type) => {
    if (node === null || typeof node !== "object") return;
    if (node.scale && (node.scale.type === "linear" || node.scale.type === "log")) {
      node.scale.type = type;
      node.scale.nice = type === "linear";
    }
    Object.values(node).forEach((inner) => setScales(inner, type));
  };

  const param = (spec, name) => (spec.params || []).find((each) => each.name === name);

  class Chart {
    constructor(figure) {
      this.figure = figure;
      this.source = numbers.charts[figure.dataset.chart];
      this.data = Object.fromEntries(Object.entries(this.source.rows).map(([name, columns]) => [name, rowsOf(columns)]));
      const names = param(this.source.spec, "series_names");
      this.names = names ? names.value : [];
      this.curves = Object.keys(this.data).find((name) => this.data[name][0] && "v0_0" in this.data[name][0]);
      this.on("[data-series]", () => this.showSeries());
      this.on("[data-segment]", () => { this.sumSegments(); this.draw(); });
      this.on("input[type=radio]", () => this.draw());
      this.reader = figure.querySelector("[data-read]");
      if (this.reader && this.curves) {
        this.reader.max = this.data[this.curves].length - 1;
        this.reader.value = this.reader.max;
        this.reader.addEventListener("input", () => this.read());
      }
      this.draw();
    }

    all(what) { return [...this.figure.querySelectorAll(what)]; }
    on(what, act) { this.all(what).forEach((control) => control.addEventListener("change", act)); }

    get shown() {
      const boxes = this.all("[data-series]");
      return boxes.length ? this.names.filter((_, k) => boxes[k].checked) : this.names;
    }

    get logarithmic() {
      const chosen = this.figure.querySelector("input[type=radio]:checked");
      return chosen ? chosen.value === "log" : undefined;
    }

    draw() {
      const spec = JSON.parse(JSON.stringify(this.source.spec));
      spec.datasets = this.data;
      if (this.logarithmic !== undefined) {
        setScales(spec, this.logarithmic ? "log" : "linear");
        param(spec, "logarithmic").value = this.logarithmic;
      }
      if (this.names.length) param(spec, "shown").value = this.shown;
      const place = this.figure.querySelector(".plot");
      this.drawn = vegaEmbed(place, spec, { actions: false, renderer: "svg", ast: false })
        .then((result) => { this.view = result.view; this.read(); this.figure.dataset.drawn = "true"; })
        .catch((error) => { place.textContent = `The chart cannot be drawn: ${error.message}`; });
    }

    showSeries() {
      this.drawn = this.drawn.then(() => this.view.signal("shown", this.shown).runAsync()).then(() => this.read());
    }

    // Accounts of the chosen segments together.
    sumSegments() {
      const chosen = this.all("[data-segment]").map((box) => box.checked);
      const counts = this.source.sums.counts;
      this.data[this.curves].forEach((row, at) => {
        this.names.forEach((_, state) => {
          row[`v0_${state}`] = counts.reduce((sum, own, segment) => sum + (chosen[segment] ? own[state][at] : 0), 0);
          row[`l0_${state}`] = row[`h0_${state}`] = null;
        });
      });
    }

    // What the pointer shows, for those who use none: values at the time of the slider.
    read() {
      if (!this.reader || !this.curves) return;
      const row = this.data[this.curves][Number(this.reader.value)];
      if (!row) return;
      const told = (value) => (this.source.shares ? percent : count).format(value);
      const date = new Date(row.time).toISOString().replace("T00:00:00.000Z", "").replace(":00.000Z", "").replace("T", " ");
      const results = param(this.source.spec, "result_names").value;
      const texts = [];
      results.forEach((result, r) => this.names.forEach((name, k) => {
        const value = row[`v${r}_${k}`], low = row[`l${r}_${k}`], high = row[`h${r}_${k}`];
        if (value === null || value === undefined || !this.shown.includes(name)) return;
        const limits = low === null || low === undefined ? "" : ` (${told(low)} to ${told(high)})`;
        texts.push(`${results.length > 1 ? `${name}, ${result}` : name} ${told(value)}${limits}`);
      }));
      this.reader.setAttribute("aria-valuetext", date);
      this.figure.querySelector("output").textContent = `${date}: ${texts.join("; ")}`;
    }
  }

  // On paper nothing can be opened: the checklist is printed whole, and is then as it was.
  const items = [...document.querySelectorAll("#checklist details")];
  let closed = [];
  window.addEventListener("beforeprint", () => { closed = items.filter((each) => !each.open); closed.forEach((each) => { each.open = true; }); });
  window.addEventListener("afterprint", () => closed.forEach((each) => { each.open = false; }));

  window.charts = Object.fromEntries([...document.querySelectorAll("figure[data-chart]")].map((figure) => [figure.dataset.chart, new Chart(figure)]));
})();

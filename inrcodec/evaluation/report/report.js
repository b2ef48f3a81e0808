"use strict";
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const state = { clip: report.clips[0], metric: null, hidden: new Set(), published: true };
  const PLOT = {
    displaylogo: false, responsive: true, toImageButtonOptions: { format: "svg" },
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
  };

  // Elements, numbers and colours ---------------------------------------------------------------
  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text !== undefined && text !== null) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }
  const replace = (id, children) => $(id).replaceChildren(...children);
  const number = (value, digits) => (value === null || value === undefined || !isFinite(value)
    ? "–" : value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  const words = (metric) => report.metrics[metric];
  const color = (curve) => (dark.matches ? curve.darkColor : curve.color);
  const line = (curve) => ({ color: color(curve), width: curve.width, dash: curve.dash });
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // What a reader zoomed into stays while the axes mean the same: clip, metric, kind of rate axis.
  const sameAxes = (...more) => [report.clips.indexOf(state.clip), state.metric, ...more].join("|");

  function layout(xTitle, yTitle, axes) {
    const axis = (title) => ({
      title: { text: title }, gridcolor: css("--grid"), linecolor: css("--line"), zeroline: false,
      automargin: true,
    });
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { color: css("--ink"), family: "system-ui, sans-serif", size: 13 },
      margin: { l: 60, r: 14, t: 30, b: 48 }, hovermode: "closest",
      hoverlabel: { align: "left" }, uirevision: axes,
      modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--line"), activecolor: css("--accent") }, xaxis: axis(xTitle), yaxis: axis(yTitle),
    };
  }

  // Rate and distortion --------------------------------------------------------------------------
  function measuredTrace(series) {
    const points = series.points.filter((p) => state.metric in p.metrics);
    return {
      name: series.name, mode: "lines+markers", visible: !state.hidden.has(series.name),
      x: points.map((p) => p.bpp), y: points.map((p) => p.metrics[state.metric]),
      line: line(series),
      marker: { symbol: series.marker, size: 8, color: color(series),
        line: { color: color(series), width: series.marker === "asterisk" ? 1.5 : 0 } },
      customdata: points.map((p) => hoverText(p, series.kind)),
      hovertemplate: `<b>%{fullData.name}</b><br>%{x:.4f} bpp, %{y:.${words(state.metric).digits}f}<br>%{customdata}<extra></extra>`,
    };
  }

  // What was not asked for or measured is not there: `compare` knows neither quality nor times.
  function hoverText(point, kind) {
    const parts = [`${number(point.bytes, 0)} bytes`];
    if (point.quality !== null) parts.push(kind === "inr" ? `wished ${point.quality} bpp` : `CRF/QP ${point.quality}`);
    const seconds = point.encodeSeconds === null ? "" : `<br>encoded in ${number(point.encodeSeconds, 1)} s`;
    return parts.join(", ") + seconds;
  }

  function publishedTrace(curve) {
    return {
      name: curve.name, mode: "lines+markers", x: curve.bpp, y: curve.values,
      visible: state.published && !state.hidden.has(curve.name),
      line: line(curve),
      marker: { symbol: curve.marker, size: 7, color: color(curve) },
      hovertemplate: `<b>%{fullData.name}</b><br>%{x:.4f} bpp, %{y:.${words(state.metric).digits}f}<extra></extra>`,
    };
  }
  const shownPublished = () => state.clip.published.filter((c) => c.metric === state.metric);

  function drawCurves() {
    const rate = $("log-rate").checked ? "log" : "linear";
    const drawing = layout("bits per pixel", words(state.metric).axis, sameAxes(rate));
    drawing.xaxis.type = rate;
    if ($("log-rate").checked) drawing.xaxis.dtick = "D2"; else drawing.xaxis.rangemode = "tozero";
    const traces = [...shownPublished().map(publishedTrace), ...state.clip.series.map(measuredTrace)];
    Plotly.react("rd-plot", traces, drawing, PLOT);
    drawChips();
  }

  function drawChips() {
    const chip = (curve) => {
      const { name, dash } = curve;
      const button = element("button", "", { type: "button", "aria-pressed": !state.hidden.has(name) });
      button.dataset.series = name;
      button.append(element("i", "", { class: dash, style: `border-color:${color(curve)}` }), name);
      button.addEventListener("click", () => {
        if (!state.hidden.delete(name)) state.hidden.add(name);
        drawCurves();
        drawPerFrame();
        document.querySelector(`[data-series="${CSS.escape(name)}"]`).focus();
      });
      return button;
    };
    const published = state.published ? shownPublished() : [];
    replace("series-chips", [...state.clip.series, ...published].map(chip));
    const protocols = [...new Set(published.map((c) => `${c.source}: ${c.protocol}`))];
    const notes = protocols.length ? [`Published, by other protocols than ours, not in any table: ${protocols.join("; ")}.`] : [];
    notes.push(...state.clip.notPublished.map((reason) => `${reason}.`));
    $("published-note").hidden = !notes.length;
    $("published-note").textContent = notes.join(" ");
  }

  function drawMetricButtons() {
    replace("metric-buttons", state.clip.metrics.map((metric) => {
      const button = element("button", words(metric).name,
        { type: "button", "aria-pressed": metric === state.metric });
      button.dataset.metric = metric;
      button.addEventListener("click", () => {
        state.metric = metric;
        drawMetric();
        document.querySelector(`[data-metric="${metric}"]`).focus();
      });
      return button;
    }));
  }

  // BD-rate --------------------------------------------------------------------------------------
  function drawBd() {
    const matrix = state.clip.bd[state.metric];
    show("bd", Boolean(matrix));
    if (!matrix) return;
    const names = Object.keys(matrix);
    const head = element("tr");
    head.append(element("th", `by ${words(state.metric).name}`, { scope: "col" }));
    for (const name of names) {
      const isAnchor = name === state.clip.anchor;
      head.append(element("th", `vs ${name}`, { scope: "col", ...(isAnchor ? { class: "anchor" } : {}) }));
    }
    const rows = names.map((name) => {
      const row = element("tr");
      row.append(seriesHeading(name));
      for (const anchor of names) row.append(bdCell(matrix[name][anchor], name === anchor));
      return row;
    });
    fillTable("bd-table", [head], rows);
  }

  function bdCell(value, isSelf) {
    if (isSelf) return element("td", "·");
    if (value === null) {
      return element("td", "–", { title: "no such curve, under two points, not monotone, or the curves share under a quarter of the shorter one's quality" });
    }
    const strength = Math.min(0.42, Math.abs(value) / 160);
    const tone = value < 0 ? "--good" : "--bad";
    return element("td", `${value > 0 ? "+" : value < 0 ? "−" : ""}${number(Math.abs(value), 1)} %`,
      { style: `background:rgba(var(${tone}),${strength.toFixed(3)})` });
  }

  function seriesHeading(name) {
    const heading = element("th", "", { scope: "row" });
    const series = state.clip.series.find((s) => s.name === name);
    if (series) heading.append(element("span", "", { class: "swatch", style: `background:${color(series)}` }));
    heading.append(name);
    return heading;
  }

  function fillTable(id, headRows, bodyRows) {
    const head = element("thead"), body = element("tbody");
    head.append(...headRows);
    body.append(...bodyRows);
    replace(id, [head, body]);
  }

  // Frames ---------------------------------------------------------------------------------------
  const entry = (id) => state.clip.viewer.entries[Number($(id).value)];

  function fillViewer() {
    const viewer = state.clip.viewer;
    show("viewer", viewer.entries.length > 0);
    if (!viewer.entries.length) return;
    const options = () => viewer.entries.map((e, i) => element("option", e.name, { value: i }));
    replace("left-codec", options());
    replace("right-codec", options());
    const ours = viewer.entries.findIndex((e) => e.kind === "inr");
    $("left-codec").value = 0;
    $("right-codec").value = ours > 0 ? ours : 1;
    replace("frame", viewer.frames.map((frame, i) => element("option", frame, { value: i })));
    $("frame").value = Math.floor(viewer.frames.length / 2);
    const choice = report.kind === "compare" ? "" : `Of each codec the point nearest to ${number(viewer.bytes, 0)} bytes. `;
    $("viewer-note").textContent = choice + viewer.note;
    drawFrames();
  }

  function drawFrames() {
    const index = Number($("frame").value);
    for (const side of ["left", "right"]) {
      const chosen = entry(`${side}-codec`);
      const frame = state.clip.viewer.frames[index];
      $(`${side}-image`).src = chosen.images[index];
      $(`${side}-image`).alt = `Frame ${frame} of ${chosen.name}`;
      replace(`${side}-caption`, caption(chosen, index));
    }
    resizeStage();
  }

  function caption(chosen, index) {
    const name = element("strong", chosen.name);
    if (chosen.bytes === undefined) return [name, ", uncoded"];
    const psnr = chosen.psnr[index] === null ? "" : `, this frame ${number(chosen.psnr[index], 2)} dB`;
    return [name, `: ${number(chosen.bytes, 0)} bytes, ${number(chosen.bpp, 4)} bpp${psnr}`];
  }

  function resizeStage() {
    const zoom = $("zoom").value;
    $("stage").style.width = zoom === "fit" ? "100%" : `${state.clip.width * Number(zoom)}px`;
    $("stage").classList.toggle("pixels", zoom === "2" || zoom === "4");
  }

  function wipe(share) {
    const bounded = Math.max(0, Math.min(1, share));
    $("wipe").value = Math.round(1000 * bounded);
    $("wipe").setAttribute("aria-valuetext", `${Math.round(100 * bounded)} % of the left picture`);
    $("stage").style.setProperty("--wipe", `${(100 * bounded).toFixed(1)}%`);
  }

  function listenToViewer() {
    for (const id of ["left-codec", "right-codec", "frame"]) $(id).addEventListener("change", drawFrames);
    $("zoom").addEventListener("change", resizeStage);
    $("wipe").addEventListener("input", () => wipe(Number($("wipe").value) / 1000));
    const stage = $("stage");
    const follow = (event) => {
      const box = stage.getBoundingClientRect();
      wipe((event.clientX - box.left) / box.width);
    };
    stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); follow(event); });
    stage.addEventListener("pointermove", (event) => { if (stage.hasPointerCapture(event.pointerId)) follow(event); });
  }

  // Frame by frame -------------------------------------------------------------------------------
  function drawPerFrame() {
    const { axis, digits } = words(state.metric);
    const traces = state.clip.series.filter((s) => s.perFrame[state.metric]).map((series) => ({
      name: series.name, mode: "lines", visible: !state.hidden.has(series.name),
      y: series.perFrame[state.metric], line: line(series),
      hovertemplate: `<b>%{fullData.name}</b><br>frame %{x}: %{y:.${digits}f}<extra></extra>`,
    }));
    show("per-frame", traces.length > 0);
    if (traces.length) Plotly.react("frame-plot", traces, layout("frame", axis, sameAxes()), PLOT);
  }

  // Points and times -----------------------------------------------------------------------------
  function drawPoints() {
    const { metrics, frames, series: curves } = state.clip;
    const isThere = ([, text]) => curves.some((s) => s.points.some((p) => text(p) !== "–"));
    const columns = [
      ["Quality", (p) => (p.quality === null ? "–" : String(p.quality))], ["Budget", (p) => p.budget || "–"],
      ["Bytes", (p) => number(p.bytes, 0)], ["bpp", (p) => number(p.bpp, 4)],
      ...metrics.map((m) => [words(m).label, (p) => number(p.metrics[m], words(m).digits)]),
      ["Encode (s)", (p) => number(p.encodeSeconds, 1)],
      ["Decode (frames/s)", (p) => number(frames / p.decodeSeconds, 1)],
      ["Parameters", (p) => number(p.parameters, 0)], ["kMAC/pixel", (p) => number(p.kmacPerPixel, 1)],
    ].filter(isThere);
    const head = element("tr");
    head.append(...["Codec", ...columns.map(([name]) => name)].map((name) => element("th", name, { scope: "col" })));
    const rows = state.clip.series.flatMap((series) => series.points.map((point) => {
      const row = element("tr");
      row.append(seriesHeading(series.name), ...columns.map(([, text]) => element("td", text(point))));
      return row;
    }));
    fillTable("points-table", [head], rows);
  }

  // The page -------------------------------------------------------------------------------------
  function show(section, wanted) {
    $(section).hidden = !wanted;
    for (const link of document.querySelectorAll(`nav [data-of="${section}"]`)) link.hidden = !wanted;
  }

  function drawMetric() {
    drawMetricButtons();
    drawCurves();
    drawBd();
    drawPerFrame();
  }

  function drawClip() {
    state.metric = state.clip.metrics.includes(state.metric) ? state.metric : state.clip.metrics[0];
    const fps = state.clip.fps ? `, ${number(state.clip.fps, 2)} frames/s` : "";
    $("clip-label").textContent = state.clip.label + fps;
    $("published-choice").hidden = !state.clip.published.length;
    fillViewer();
    drawMetric();
    drawPoints();
  }

  $("log-rate").checked = report.log;
  $("log-rate").addEventListener("change", drawCurves);
  $("published").addEventListener("change", () => { state.published = $("published").checked; drawCurves(); });
  $("provenance").textContent = report.provenance.join("; ");
  $("clip-choice").hidden = report.clips.length < 2;
  replace("clip", report.clips.map((clip, i) => element("option", clip.label, { value: i })));
  $("clip").addEventListener("change", () => { state.clip = report.clips[Number($("clip").value)]; drawClip(); });
  dark.addEventListener("change", () => { drawMetric(); drawPoints(); });
  listenToViewer();
  drawClip();
  wipe(0.5);
  document.documentElement.dataset.ready = "true";
})();

// Draws each figure for the visible span of time `view.from .. view.to` (seconds since the start of the recording).

const SVG = "http://www.w3.org/2000/svg";
const view = { from: 0, to: data.span };
const RIGHT = 12;
const AXIS = 30;

function el(name, attributes, parent, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  if (parent) parent.append(node);
  return node;
}

// The scale of a figure: where its plot starts, how wide it is, and time to px within it.
function scaleOf(plot) {
  const left = plot.clientWidth < 560 ? 80 : 112;
  const width = Math.max(40, plot.clientWidth - left - RIGHT);
  return { left, width, x: (at) => ((at - view.from) / (view.to - view.from)) * width };
}

// An empty drawing with the time grid; `inner` clips to the plot.
function canvasOf(figure, height, axis) {
  const plot = figure.querySelector(".plot");
  const scale = scaleOf(plot);
  const svg = el("svg", { width: plot.clientWidth, height: height + (axis ? AXIS : 2), "aria-hidden": "true" });
  const inner = el("svg", { x: scale.left, y: 0, width: scale.width, height, overflow: "hidden" }, svg);
  const shown = view.to - view.from;
  for (const at of timeTicks(view.from, view.to, Math.max(3, scale.width / (scale.width < 480 ? 56 : 90)))) {
    const x = scale.x(at);
    el("line", { class: "grid", x1: x, x2: x, y1: 0, y2: height }, inner);
    if (!axis) continue;
    el("line", { class: "axis", x1: scale.left + x, x2: scale.left + x, y1: height, y2: height + 5 }, svg);
    const text = timeLabel(at, shown, data.span);
    // The last one leans on the edge instead of crossing it.
    const leans = scale.width - x + RIGHT < text.length * 3.4;
    const label = { class: "tick", x: leans ? plot.clientWidth : scale.left + x, y: height + 17 };
    el("text", { ...label, "text-anchor": leans ? "end" : "middle" }, svg, text);
  }
  if (axis) {
    el("line", { class: "axis", x1: scale.left, x2: scale.left + scale.width, y1: height, y2: height }, svg);
    const unit = data.span <= 600 || shown < 30 ? "s" : data.span <= 7200 ? "min:s" : shown > 1200 ? "h:min" : "h:min:s";
    el("text", { class: "tick", x: 0, y: height + 17 }, svg, scale.left > 100 ? "time, " + unit : unit);
  }
  plot.replaceChildren(svg);
  return { plot, scale, svg, inner, height };
}

function finish(figure, drawing) {
  const cursor = el("line", { class: "cursor", y1: 0, y2: drawing.height, x1: -9, x2: -9 }, drawing.inner);
  const selection = el("rect", { class: "selection", x: -9, width: 0, y: 0, height: drawing.height }, drawing.inner);
  Object.assign(figure, { cursor, selection, scale: drawing.scale });
  figure.dataset.drawn = "true";
}

function shadeWindows(drawing, panel) {
  const { inner, scale, height } = drawing;
  if (data.warm_up > 0) {
    const [from, to] = [scale.x(0), scale.x(data.warm_up)];
    el("rect", { class: "learning", x: from, y: 0, width: to - from, height }, inner);
  }
  for (const w of data.windows) {
    const x = scale.x(w.from);
    const width = Math.max(2, scale.x(w.to) - x);
    const deviates = panel && w.panels.includes(panel.id);
    const group = " g" + w.color;
    el("rect", { class: "window" + group, x, y: 0, width, height }, inner);
    if (deviates) el("rect", { class: "window deviates" + group, x, y: 0, width, height }, inner);
    for (const [from, to] of w.again) {
      const left = scale.x(from);
      el("rect", { class: "window again" + group, x: left, y: 0, width: Math.max(2, scale.x(to) - left), height }, inner);
    }
  }
}

function nameLearning({ inner, scale }) {
  const [from, to] = [Math.max(0, scale.x(0)), Math.min(scale.width, scale.x(data.warm_up))];
  const text = to - from > 60 ? "not judged" : "";
  el("text", { class: "tick halo", x: (from + to) / 2, y: 14, "text-anchor": "middle" }, inner, text);
}

function edges(drawing) {
  const { inner, scale, height } = drawing;
  for (const w of data.windows) {
    for (const at of [w.from, w.to]) el("line", { class: "edge g" + w.color, x1: scale.x(at), x2: scale.x(at), y1: 0, y2: height }, inner);
  }
  for (const label of data.labels) {
    for (const at of [label.from, label.to]) {
      el("line", { class: "label-edge", x1: scale.x(at), x2: scale.x(at), y1: 0, y2: height }, inner);
    }
  }
}

// The first index whose time is not before `at`.
function lowerBound(times, at) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Unbroken runs of visible points: per pixel column the first, lowest, highest and last, so that no spike is lost.
function visibleRuns(line, scale) {
  const times = data.times[line.t];
  const first = Math.max(0, lowerBound(times, view.from) - 1);
  const end = Math.min(times.length, lowerBound(times, view.to) + 1);
  const runs = [];
  let run = null;
  let column = [];
  const flush = () => {
    if (!column.length) return;
    const value = (i) => line.v[i];
    const low = column.reduce((a, b) => (value(b) < value(a) ? b : a));
    const high = column.reduce((a, b) => (value(b) > value(a) ? b : a));
    const keep = [...new Set([column[0], low, high, column[column.length - 1]])].sort((a, b) => a - b);
    for (const i of keep) run.push([scale.x(times[i]), value(i)]);
    column = [];
  };
  for (let i = first; i < end; i += 1) {
    if (line.v[i] === null) {
      flush();
      run = null;
      continue;
    }
    if (!run) runs.push((run = []));
    if (column.length && Math.floor(scale.x(times[i])) !== Math.floor(scale.x(times[column[0]]))) flush();
    column.push(i);
  }
  flush();
  return runs;
}

function valueScale(panel, allRuns) {
  const values = allRuns.flat(2).map((point) => point[1]);
  const high = values.reduce((a, b) => Math.max(a, b), 0);
  const least = values.reduce((a, b) => Math.min(a, b), Infinity);
  let low = Number.isFinite(least) ? Math.min(0, least) : 0;
  if (panel.unit === "bytes" && high > 0 && least > high / 2) low = Math.min(least - (high - least) * 0.15, high * 0.85);
  const top = high > low ? high : low + 1;
  return { low, high: top + (top - low) * 0.08 };
}

function drawPanel(figure, panel, height, axis) {
  const drawing = canvasOf(figure, height, axis);
  const { svg, inner, scale } = drawing;
  shadeWindows(drawing, panel);
  const allRuns = panel.lines.map((line) => visibleRuns(line, scale));
  const { low, high } = valueScale(panel, allRuns);
  const y = (value) => height - ((value - low) / (high - low)) * height;
  for (const tick of ticks(low, high, height < 80 ? 2 : 4, panel.unit.startsWith("bytes"))) {
    el("line", { class: "grid", x1: 0, x2: scale.width, y1: y(tick), y2: y(tick) }, inner);
    const at = Math.min(height - 1, Math.max(9, y(tick) + 4));
    const text = quantity(tick, panel.unit === "cores" ? "" : panel.unit);
    el("text", { class: "tick", x: scale.left - 8, y: at, "text-anchor": "end" }, svg, text);
  }
  edges(drawing);
  if (panel.id === "cpu") nameLearning(drawing);
  allRuns.forEach((runs, i) => {
    for (const run of runs) {
      const path = "M" + run.map((p) => p[0].toFixed(1) + "," + y(p[1]).toFixed(1)).join("L");
      const color = "line line-" + (panel.id === "rss" ? 2 : i % 4);
      // An area means "from zero".
      if (allRuns.length === 1 && low === 0) {
        const area = path + `L${run[run.length - 1][0].toFixed(1)},${height}L${run[0][0].toFixed(1)},${height}Z`;
        el("path", { class: color + " area", d: area }, inner);
      }
      if (run.length === 1) el("circle", { class: color + " dot", cx: run[0][0], cy: y(run[0][1]), r: 2.5 }, inner);
      else el("path", { class: color, d: path }, inner);
    }
  });
  if (!panel.lines.some((line) => line.v.some((v) => v !== null))) {
    el("text", { class: "tick", x: scale.width / 2, y: height / 2 + 4, "text-anchor": "middle" }, inner, "not recorded");
  }
  el("line", { class: "axis", x1: 0, x2: scale.width, y1: height - 0.5, y2: height - 0.5 }, inner);
  finish(figure, drawing);
}

function drawLoss(figure) {
  const height = 30;
  const drawing = canvasOf(figure, height, true);
  const { svg, inner, scale } = drawing;
  el("rect", { class: "kept", x: scale.x(0), y: 0, width: scale.x(data.span) - scale.x(0), height }, inner);
  for (const loss of data.losses) {
    const depth = height * Math.max(0.12, 1 - (loss.kept ?? 0));
    const width = Math.max(2, scale.x(loss.to) - scale.x(loss.from));
    const place = { x: scale.x(loss.from), y: 0, width, height: depth };
    el("rect", { ...place, class: "paper" }, inner);
    el("title", {}, el("rect", { ...place, class: "lost", fill: "url(#lost)" }, inner), loss.text);
  }
  edges(drawing);
  el("text", { class: "tick", x: scale.left - 8, y: 10, "text-anchor": "end" }, svg, "100 %");
  el("text", { class: "tick", x: scale.left - 8, y: height, "text-anchor": "end" }, svg, "0 %");
  finish(figure, drawing);
}

const VIRIDIS = [
  [253, 231, 37], [180, 222, 44], [109, 205, 89], [53, 183, 121], [31, 158, 137],
  [38, 130, 142], [49, 104, 142], [62, 74, 137], [72, 40, 120], [68, 1, 84],
];

// 0..1 to a colour: more is more ink on paper, more light in the dark.
function rateColor(part, dark) {
  const at = (dark ? 1 - part : part) * 9;
  const low = Math.min(8, Math.floor(at));
  const mixed = VIRIDIS[low].map((a, i) => Math.round(a + (VIRIDIS[low + 1][i] - a) * (at - low)));
  return `rgb(${mixed.join(",")})`;
}

function drawHeat(figure, dark) {
  const heat = data.heat;
  const row = 20;
  const height = Math.max(1, heat.names.length) * row;
  const drawing = canvasOf(figure, height, true);
  const { plot, svg, inner, scale } = drawing;
  const room = Math.floor((scale.left - 10) / 6.7);
  heat.names.forEach((name, i) => {
    const shown = name.length > room ? name.slice(0, room - 1) + "…" : name;
    const label = { class: "tick call", x: scale.left - 8, y: i * row + 14, "text-anchor": "end" };
    el("title", {}, el("text", label, svg, shown), name);
  });
  const ratio = window.devicePixelRatio || 1;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(scale.width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.cssText = `left:${scale.left}px;width:${scale.width}px;height:${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  // Whole device pixels: neighbours meet without a seam.
  const snap = (x) => Math.round(x * ratio) / ratio;
  const logs = Math.log(heat.high / heat.low);
  const first = Math.max(0, lowerBound(heat.edges, view.from) - 1);
  for (let from = first; from + 1 < heat.edges.length && heat.edges[from] < view.to; ) {
    // Bins narrower than a pixel share one cell, which shows the highest of them.
    let end = from + 1;
    while (end + 1 < heat.edges.length && scale.x(heat.edges[end]) - scale.x(heat.edges[from]) < 1) end += 1;
    const x = snap(scale.x(heat.edges[from]));
    heat.rows.forEach((rates, i) => {
      const rate = rates.slice(from, end).reduce((a, b) => Math.max(a, b), 0);
      if (!rate) return;
      context.fillStyle = rateColor(Math.min(1, Math.max(0, Math.log(rate / heat.low) / logs)), dark);
      context.fillRect(x, i * row, snap(scale.x(heat.edges[end])) - x, row - 1);
    });
    from = end;
  }
  plot.prepend(canvas);
  edges(drawing);
  if (!heat.names.length) el("text", { class: "tick", x: 8, y: 14 }, inner, "no system calls recorded");
  finish(figure, drawing);
  drawColorBar(figure.querySelector(".colorbar"), dark);
}

function drawColorBar(box, dark) {
  const heat = data.heat;
  const decades = Math.max(1, Math.round(Math.log10(heat.high / heat.low)));
  const stops = Array.from({ length: 11 }, (_, i) => rateColor(i / 10, dark)).join(",");
  const marks = Array.from({ length: decades + 1 }, (_, i) => {
    const mark = document.createElement("span");
    mark.textContent = si(heat.low * 10 ** i);
    mark.style.left = (i / decades) * 100 + "%";
    return mark;
  });
  const bar = document.createElement("div");
  bar.style.background = `linear-gradient(90deg,${stops})`;
  box.replaceChildren(bar, ...marks);
}

// The lane above the charts: labels as brackets, windows as numbered chips.
function drawLane(lane, choose) {
  const scale = scaleOf(lane);
  const rows = data.labels.length ? 30 : 0;
  const height = rows + (data.windows.length ? 26 : 0);
  const svg = el("svg", { width: lane.clientWidth, height });
  const inner = el("svg", { x: scale.left, y: 0, width: scale.width, height, overflow: "hidden" }, svg);
  let end = -Infinity;
  for (const label of data.labels) {
    const [a, b] = [scale.x(label.from), Math.max(scale.x(label.from) + 2, scale.x(label.to))];
    if (b < 0 || a > scale.width) continue;
    const group = el("g", { class: "label" }, inner);
    el("title", {}, group, label.name + (label.note ? " — " + label.note : ""));
    el("path", { d: `M${a},26V20H${b}V26`, fill: "none" }, group);
    const shown = [Math.max(0, a), Math.min(scale.width, b)];
    const room = Math.max(shown[1] - shown[0], Math.min(240, 2 * (scale.width - shown[1]) + shown[1] - shown[0], 2 * shown[0] + shown[1] - shown[0]));
    const letters = Math.floor(room / 6.4);
    const name = label.name.length > letters ? label.name.slice(0, Math.max(0, letters - 1)) + "…" : label.name;
    const middle = (shown[0] + shown[1]) / 2;
    if (letters < 4 || middle - name.length * 3.2 < end) continue;
    end = middle + name.length * 3.2 + 6;
    el("text", { x: middle, y: 13, "text-anchor": "middle" }, group, name);
  }
  end = -Infinity;
  for (const w of data.windows) {
    const [a, b] = [scale.x(w.from), Math.max(scale.x(w.from) + 2, scale.x(w.to))];
    for (const [from, to] of w.again) {
      el("rect", { class: "bar g" + w.color, x: scale.x(from), y: height - 3, width: Math.max(2, scale.x(to) - scale.x(from)), height: 3 }, inner);
    }
    if (b < 0 || a > scale.width) continue;
    el("rect", { class: "bar g" + w.color, x: a, y: height - 3, width: b - a, height: 3 }, inner);
    const width = 12 + 8 * String(w.id).length;
    const middle = (Math.max(0, a) + Math.min(scale.width, b)) / 2;
    // Where windows are close, a number makes way to the right, by less than its own width.
    const x = Math.max(end + 1, Math.min(scale.width - width, Math.max(0, middle - width / 2)));
    if (x > middle + width / 2 || x + width > scale.width) continue;
    end = x + width;
    const chip = el("g", { class: "chip g" + w.color }, inner);
    el("title", {}, chip, `Window ${w.id}: ${w.pattern}`);
    el("rect", { x, y: rows + 2, width, height: 18 }, chip);
    el("text", { x: x + width / 2, y: rows + 15.5, "text-anchor": "middle" }, chip, w.id);
    chip.addEventListener("click", () => choose(w));
  }
  lane.replaceChildren(svg);
}

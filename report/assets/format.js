// Numbers for people; the same rules as the words that the page came with.
"use strict";

const SI = ["", "k", "M", "G", "T"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"];
const NBSP = "\u00a0";

function digits(value) {
  const size = Math.abs(value);
  const decimals = size >= 99.95 || size === 0 ? 0 : size >= 9.995 ? 1 : size >= 0.0995 ? 2 : size >= 0.00995 ? 3 : 4;
  const text = value.toFixed(decimals);
  return text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}

function prefixed(value, base, prefixes) {
  let step = 0;
  while (Math.abs(value) >= base - 0.5 && step + 1 < prefixes.length) {
    value /= base;
    step += 1;
  }
  return [digits(value), prefixes[step]];
}

function si(value) {
  const [number, prefix] = prefixed(value, 1000, SI);
  return prefix ? number + NBSP + prefix : number;
}

function duration(s) {
  const size = Math.abs(s);
  const [factor, unit] =
    size === 0 ? [1, "s"] : size < 0.9995e-6 ? [1e9, "ns"] : size < 0.9995e-3 ? [1e6, "µs"] : size < 0.9995 ? [1e3, "ms"] : [1, "s"];
  return digits(s * factor) + NBSP + unit;
}

function quantity(value, unit) {
  const perSecond = { "s/s": 1, "seconds/s": 1, "ms/s": 1e-3, "ns/s": 1e-9 }[unit];
  if (value === null || !Number.isFinite(value)) return "–";
  if (perSecond) return duration(value * perSecond) + "/s";
  if (unit === "ns") return duration(value / 1e9);
  if (unit === "s") return duration(value);
  if (unit === "cores") return digits(value) + NBSP + "cores";
  if (unit === "fraction" || unit === "share") return digits(value * 100) + NBSP + "%";
  if (unit === "bytes" || unit === "bytes/s") return prefixed(value, 1024, BINARY).join(NBSP) + unit.slice(5);
  if (unit === "" || unit === "1") return si(value);
  if (unit.endsWith("/s")) return prefixed(value, 1000, SI).join(NBSP) + "/s";
  return si(value) + " " + unit;
}

// Nice values that cover low..high in about `wanted` steps; powers of two for bytes.
function ticks(low, high, wanted, binary) {
  const least = (high - low) / wanted;
  if (!(least > 0)) return [low];
  const decade = 10 ** Math.floor(Math.log10(least));
  const step = binary
    ? 2 ** Math.ceil(Math.log2(least))
    : decade * ([1, 2, 5].find((factor) => factor * decade >= least * 0.999) || 10);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.min(100, Math.floor(high / step + 1e-9) - first);
  return Array.from({ length: count + 1 }, (_, i) => (first + i) * step);
}

const NICE_TIMES = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

function timeTicks(from, to, wanted) {
  const least = (to - from) / wanted;
  const step = NICE_TIMES.find((nice) => nice >= least);
  if (!step || least <= 0.5) return ticks(from, to, wanted, false);
  const first = Math.ceil(from / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.floor(to / step + 1e-9) - first + 1) }, (_, i) => (first + i) * step);
}

// Seconds where the whole recording is shorter than ten minutes, then m:ss, then h:mm; finer where zoomed in.
function timeLabel(at, shown, span) {
  const two = (n) => String(n).padStart(2, "0");
  if (span <= 600 || shown < 30) return String(Math.round(at * 1e6) / 1e6);
  const whole = Math.round(at);
  if (span > 7200 && shown > 1200) return Math.floor(whole / 3600) + ":" + two(Math.floor((whole % 3600) / 60));
  if (span > 7200) return Math.floor(whole / 3600) + ":" + two(Math.floor((whole % 3600) / 60)) + ":" + two(whole % 60);
  return Math.floor(whole / 60) + ":" + two(whole % 60);
}

// An instant for prose.
function moment(at, shown, span) {
  if (span <= 600 || shown < 30) return at.toFixed(shown < 20 ? 3 : 1) + NBSP + "s";
  return timeLabel(at, Math.min(shown, 1200), span);
}

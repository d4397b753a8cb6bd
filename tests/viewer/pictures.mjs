// Sample pictures for trials of the viewer: small signed-distance scenes drawn per pixel, and a PNG writer.
// Deterministic: the same seed gives the same bytes.
import { deflateSync, crc32 as zlibCrc32 } from 'node:zlib';

/** A seeded generator of numbers in [0, 1) (mulberry32). */
export function random(seed) {
  let state = (seed * 0x9e3779b1 + 0x7f4a7c15) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const clamp = (v) => Math.min(1, Math.max(0, v));
const mix = (a, b, t) => a + (b - a) * clamp(t);

function hsl(h, s, l) {
  const f = (n) => {
    const k = (n + h * 12) % 12;
    return l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
  };
  return [f(0), f(8), f(4)];
}

const FAMILIES = {
  spheres(x, y, r) {
    const d = Math.hypot(x - r.cx, y - r.cy) / r.size;
    if (d > 1) return mixColour(r.back, r.back2, y * 0.5 + 0.5 - 0.25 * Math.exp(-(((d - 1) * 6) ** 2)));
    const z = Math.sqrt(1 - d * d);
    const light = clamp((-(x - r.cx) * 0.5 - (y - r.cy) * 0.7) / r.size + z * 0.7);
    const shine = clamp(light) ** 18;
    return r.main.map((c) => clamp(c * (0.18 + 0.9 * light) + shine * 0.7));
  },
  rings(x, y, r) {
    const d = Math.hypot(x - r.cx, y - r.cy);
    const wave = Math.sin(d * r.count - r.phase + Math.atan2(y, x) * r.twist);
    return mixColour(r.main, r.back, smooth(-0.25, 0.25, wave)).map((c) => c * (1.1 - 0.35 * d));
  },
  dunes(x, y, r) {
    let colour = mixColour(r.back2, r.back, y * 0.5 + 0.5);
    const sun = smooth(0.02, -0.02, Math.hypot(x - r.cx, y + 0.35) - r.size * 0.4);
    colour = mixColour(colour, [1, 0.93, 0.8], sun);
    for (let i = 0; i < 4; i += 1) {
      const line = 0.05 + i * 0.24 + 0.14 * Math.sin(x * (1.4 + i * 0.7) + r.phase * (i + 1));
      if (y > line) colour = mixColour(r.main, r.back2, 0.6 - i * 0.2).map((c) => c * (0.95 - 0.12 * i));
    }
    return colour;
  },
  weave(x, y, r) {
    const c = Math.cos(r.phase);
    const s = Math.sin(r.phase);
    const u = Math.sin((x * c - y * s) * r.count);
    const v = Math.sin((x * s + y * c) * r.count);
    return mixColour(mixColour(r.back, r.main, u * 0.5 + 0.5), r.back2, smooth(0.1, 0.5, v * u));
  },
  blobs(x, y, r) {
    let field = 0;
    for (let i = 0; i < 5; i += 1) {
      const a = r.phase + i * 2.4;
      field += 0.055 / ((x - 0.55 * Math.cos(a)) ** 2 + (y - 0.5 * Math.sin(a * 1.3)) ** 2 + 0.012);
    }
    const edge = smooth(0.9, 1.05, field * r.size);
    return mixColour(mixColour(r.back, r.back2, y * 0.5 + 0.5), r.main.map((c) => c * (0.7 + 0.3 * clamp(field / 4))), edge);
  },
  stars(x, y, r) {
    const d = Math.hypot(x - r.cx, y - r.cy);
    const a = Math.atan2(y - r.cy, x - r.cx);
    const arm = 0.3 + 0.22 * Math.cos(a * r.twist + r.phase);
    const glow = Math.exp(-Math.max(0, d - arm * r.size * 1.6) * 5);
    return mixColour(r.back.map((c) => c * 0.35), r.main, glow).map((c) => clamp(c + 0.4 * Math.exp(-d * 7)));
  },
};
export const FAMILY_NAMES = Object.keys(FAMILIES);

function mixColour(a, b, t) { return a.map((c, i) => mix(c, b[i], t)); }
function smooth(a, b, v) { const t = clamp((v - a) / (b - a)); return t * t * (3 - 2 * t); }

/** What a work of this seed looks like: `{family, hue, light, paint(x, y)}` with x, y in -1..1. */
export function sceneOf(seed) {
  const r = random(seed);
  const family = FAMILY_NAMES[Math.floor(r() * FAMILY_NAMES.length)];
  const hue = r();
  const light = 0.35 + 0.35 * r();
  const rules = {
    main: hsl(hue, 0.45 + 0.3 * r(), light),
    back: hsl((hue + 0.42 + 0.2 * r()) % 1, 0.2 + 0.3 * r(), 0.12 + 0.75 * r()),
    back2: hsl((hue + 0.08) % 1, 0.25, 0.3 + 0.5 * r()),
    cx: (r() - 0.5) * 0.5, cy: (r() - 0.5) * 0.5, size: 0.4 + 0.4 * r(),
    count: 6 + Math.floor(r() * 14), phase: r() * 6.28, twist: 2 + Math.floor(r() * 6),
  };
  return { family, hue, light, paint: (x, y) => FAMILIES[family](x, y, rules) };
}

/** RGB bytes of a scene, `px` × `px`. */
export function drawScene(scene, px) {
  const out = Buffer.alloc(px * px * 3);
  for (let y = 0; y < px; y += 1) {
    for (let x = 0; x < px; x += 1) {
      const colour = scene.paint(((x + 0.5) / px) * 2 - 1, ((y + 0.5) / px) * 2 - 1);
      for (let i = 0; i < 3; i += 1) out[(y * px + x) * 3 + i] = Math.round(255 * clamp(colour[i]));
    }
  }
  return out;
}

/** Halves a square picture of RGB bytes by a box filter. */
export function halve(rgb, px) {
  const half = px / 2;
  const out = Buffer.alloc(half * half * 3);
  for (let y = 0; y < half; y += 1) {
    for (let x = 0; x < half; x += 1) {
      for (let i = 0; i < 3; i += 1) {
        const at = (2 * y * px + 2 * x) * 3 + i;
        out[(y * half + x) * 3 + i] = (rgb[at] + rgb[at + 3] + rgb[at + 3 * px] + rgb[at + 3 * px + 3] + 2) >> 2;
      }
    }
  }
  return out;
}

let table = null;
function crc32(bytes) {
  if (zlibCrc32) return zlibCrc32(bytes);
  table = table || Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c >>> 0;
  });
  let c = 0xffffffff;
  for (const byte of bytes) c = table[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** A PNG file of RGB bytes. */
export function encodePng(rgb, width, height) {
  const rows = Buffer.alloc((width * 3 + 1) * height);
  for (let y = 0; y < height; y += 1) rgb.copy(rows, y * (width * 3 + 1) + 1, y * width * 3, (y + 1) * width * 3);
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk('IHDR', head),
    chunk('IDAT', deflateSync(rows, { level: 1 })), chunk('IEND', Buffer.alloc(0))]);
}

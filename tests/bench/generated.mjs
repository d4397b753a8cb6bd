// The page's files of a mosaic of any size, made up when they are asked for: how the page itself bears 300,000 works, which
// take hours to draw and embed. Works lie scattered, which compresses worst; tiles are a few pictures under many names.
//
//   node tests/bench/generated.mjs WORKS [PORT]     serves it; then node tests/viewer/frames.mjs http://127.0.0.1:PORT/
//
// With every request of `/arrive` one more work is there: `frames.mjs URL --arrive`. `page.mjs --generated WORKS ...` measures
// bytes and heap.
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { writePage } from '../viewer/fake_output.mjs';
import { encodePng, random } from '../viewer/pictures.mjs';

const TILE = 256;
const [CELLS, TEXTS, SIDE, IN_HEAD] = [4096, 256, 32, 256]; // As in `src/publish/page/mod.rs`.
const WORDS = ['amber', 'canyon', 'choir', 'copper', 'drifting', 'ember', 'glass', 'harbour', 'hollow', 'lantern', 'lunar', 'meadow'];

/**
 * What a path of the output folder holds, or null: `(path) => Buffer`; its `arrive()` adds a work in a spare cell, with a
 * delta. `page` is a folder with the page's files.
 */
export function generated(count, cellPx, page = null) {
  const r = random(count);
  const hex = (n) => (n >>> 0).toString(16).padStart(8, '0');
  const cols = Math.ceil(Math.sqrt(count * 1.06));
  const side = cols * cellPx;
  const max = Math.ceil(Math.log2(side));
  const min = max - Math.max(0, Math.ceil(Math.log2(side / TILE)));
  const tilesOf = (level) => Math.ceil(Math.ceil(side / 2 ** (max - level)) / TILE);
  const names = (number) => Array.from({ length: number }, () => hex(1 + r() * 4294967290)).join('');
  const cells = Array.from({ length: cols * cols }, (_, i) => i);
  for (let i = cells.length - 1; i > 0; i -= 1) {
    const j = Math.floor(r() * (i + 1));
    [cells[i], cells[j]] = [cells[j], cells[i]];
  }
  const levels = [];
  const tiles = {};
  for (let level = min; level <= max; level += 1) {
    const number = tilesOf(level) ** 2;
    levels.push(number <= IN_HEAD ? names(number) : '');
    if (number > IN_HEAD) tiles[level] = names(Math.ceil(tilesOf(level) / SIDE) ** 2);
  }
  const head = {
    says: { schema: 1, generation: 1, published_ms: 1, title: 'Generated', grid: { cols, rows: cols, cell_px: cellPx }, mosaic: null, fit: 'cover',
      spare: 'blend', large_px: 0, link: null, folders: [], work_pages: null, regions: [],
      pyramid: { width: side, height: side, tile_size: TILE, overlap: 0, format: 'jpg', min_level: min, max_level: max, levels: [] } },
    count, levels, tiles, facets: [{ name: '', values: [] }], depth: 0,
    blocks: { cells: names(Math.ceil(count / CELLS)), text: names(Math.ceil(count / TEXTS)), near: names(Math.ceil(count / TEXTS)), facet: '', words: '' },
  };
  const pictures = Array.from({ length: 8 }, () => {
    const rgb = Buffer.alloc(TILE * TILE * 3);
    const step = Math.max(4, Math.min(64, cellPx));
    for (let y = 0; y < TILE; y += step) {
      for (let x = 0; x < TILE; x += step) {
        const colour = Buffer.from([r() * 256, r() * 256, r() * 256]);
        for (let i = 0; i < step * step; i += 1) colour.copy(rgb, 3 * ((y + Math.floor(i / step)) * TILE + x + (i % step)));
      }
    }
    return encodePng(rgb, TILE, TILE); // Browsers look at the bytes, not at the name.
  });
  const ids = (from, size) => Array.from({ length: Math.min(size, head.count - from) }, (_, i) => from + i);
  const steps = (list) => list.map((n, i) => (i ? n - list[i - 1] : n));
  const json = (value) => Buffer.from(JSON.stringify(value));
  const kinds = {
    head: () => head,
    cells(n) {
      const list = ids(n * CELLS, CELLS);
      return { id: steps(list), col: list.map((id) => cells[id] % cols), row: list.map((id) => Math.floor(cells[id] / cols)), added: steps(list.map((id) => 29e6 + id)) };
    },
    text(n) { const list = ids(n * TEXTS, TEXTS); return { id: steps(list), path: list.map((id) => `${WORDS[id % 12]}/${WORDS[(id >> 4) % 12]}-${id}.png`) }; },
    near(n) { const list = ids(n * TEXTS, TEXTS); return { id: steps(list), size: list.map(() => 4096), near: list.map((id) => [1, 2, 3, 4].map((k) => (id + k) % count)) }; },
    tiles(level, n) {
      const across = tilesOf(level);
      const blocks = Math.ceil(across / SIDE);
      const part = (at) => Math.min(SIDE, across - at * SIDE);
      return Array.from({ length: part(n % blocks) * part(Math.floor(n / blocks)) }, (_, i) => hex(0x9e3779b1 * (i + n + 1))).join('');
    },
  };
  let delta = null;
  const put = (names, n, name) => (names || '').padEnd(8 * n, '0').slice(0, 8 * n) + name + (names || '').slice(8 * n + 8);
  /** One more work: new names for its blocks and for the tiles that it is drawn on. */
  function arrive() {
    const id = head.count;
    const [from, to] = [head.says.generation, head.says.generation + 1];
    const says = { generation: to, published_ms: to };
    Object.assign(head.says, says);
    head.count += 1;
    const blocks = {};
    for (const [kind, size] of [['cells', CELLS], ['text', TEXTS], ['near', TEXTS]]) {
      const n = Math.floor(id / size);
      blocks[kind] = [[n, names(1)]];
      head.blocks[kind] = put(head.blocks[kind], ...blocks[kind][0]);
    }
    const [changed, tileBlocks] = [[], {}];
    for (let level = min; level <= max; level += 1) {
      const across = tilesOf(level);
      const at = [cells[id] % cols, Math.floor(cells[id] / cols)].map((cell) => Math.floor(cell * cellPx / 2 ** (max - level) / TILE));
      changed.push([level, at[1] * across + at[0], names(1)]);
      if (head.levels[level - min]) head.levels[level - min] = put(head.levels[level - min], ...changed.at(-1).slice(1));
      else {
        tileBlocks[level] = [[Math.floor(at[1] / SIDE) * Math.ceil(across / SIDE) + Math.floor(at[0] / SIDE), names(1)]];
        head.tiles[level] = put(head.tiles[level], ...tileBlocks[level][0]);
      }
    }
    delta = { from: hex(from), to: hex(to), earlier: [], says, count: head.count, cols: [], rows: [],
      placed: [id, cells[id] % cols, Math.floor(cells[id] / cols), 29e6 + id], gone: [], edited: [], tiles: changed, levels: null,
      blocks, tile_blocks: tileBlocks, facets: [], columns: null };
  }
  kinds.delta = () => delta;
  return Object.assign((path) => {
    const { generation } = head.says;
    if (path === '/latest.json') {
      const name = hex(generation);
      return json({ schema: 1, generation, published_ms: generation, head: `p/head-${name}.json`, ...(delta && { delta: `p/delta-${name}.json` }) });
    }
    const [, kind, numbers] = /^\/p\/(\w+?)-((?:\d+-)*)[0-9a-f]{8}\.json$/.exec(path) || [];
    if (kinds[kind]) return json(kinds[kind](...numbers.split('-').filter(Boolean).map(Number)));
    if (path.startsWith('/t/')) return pictures[parseInt(path.slice(-8, -4), 16) % 8];
    try { return page ? readFileSync(join(page, path)) : null; } catch { return null; }
  }, { arrive });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [count, port] = [Number(process.argv[2] || 300000), Number(process.argv[3] || 8000)];
  const page = mkdtempSync(join(tmpdir(), 'mosaicd-page-'));
  writePage(page);
  const bodyOf = generated(count, 128, page);
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json' };
  createServer((request, response) => {
    const path = request.url.split('?')[0].replace(/\/$/, '/index.html');
    if (path === '/arrive') bodyOf.arrive();
    const body = bodyOf(path === '/arrive' ? '/latest.json' : path);
    if (!body) { response.writeHead(404); response.end(); return; }
    const text = types[extname(path)];
    response.writeHead(200, { 'Content-Type': text || 'image/png', ...(text && { 'Content-Encoding': 'gzip' }) });
    response.end(text ? gzipSync(body) : body);
  }).listen(port, '127.0.0.1', () => console.log(`http://127.0.0.1:${port}/`));
}

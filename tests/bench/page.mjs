// What the page loads: bytes over the wire and the time to the first picture, at first load and at an arrival, for several
// sizes of a mosaic. The collection is made up: plain coloured pictures in folders, placed by the real binary.
//
//   node tests/bench/page.mjs [WORKS ...]     (1000 10000 60000; tests/viewer/run.sh has installed what it needs)
//   MOSAICD_BIN=target/release/mosaicd CELL=16 KBIT=400
//   SITES=FOLDER     keeps the mosaics there and measures those that are there, as building 60,000 takes minutes
//   node tests/bench/page.mjs --build WORKS ...     only builds them
//   node tests/bench/page.mjs --generated WORKS ...     files of `generated.mjs` instead
//
// The server sends `.gz` where there is one, as the shipped configurations do. The network is throttled by Chromium's
// developer tools to KBIT kilobits a second and 100 ms.
import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { launch } from '../viewer/browser.mjs';
import { writePage } from '../viewer/fake_output.mjs';
import { encodePng } from '../viewer/pictures.mjs';
import { generated } from './generated.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const BINARY = process.env.MOSAICD_BIN || join(HERE, '../../target/release/mosaicd');
const CELL = Number(process.env.CELL || 128);
const KBIT = Number(process.env.KBIT || 400);
const SITES = process.env.SITES;
const ARRIVALS = 3;
const GENERATED = process.argv.includes('--generated');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.jpg': 'image/jpeg', '.png': 'image/png' };
const WORDS = ['amber', 'canyon', 'choir', 'copper', 'drifting', 'ember', 'glass', 'harbour', 'hollow', 'lantern', 'lunar', 'meadow', 'mirror', 'orchard', 'signal', 'tidal'];

/** A picture of two colours that differs from every other one. */
function picture(n) {
  const rgb = Buffer.alloc(8 * 8 * 3);
  let seed = (n + 1) * 2654435761 % 4294967296;
  const next = () => { seed = (seed * 1664525 + 1013904223) % 4294967296; return seed >>> 24; };
  const [one, two] = [[next(), next(), next()], [next(), next(), next()]];
  for (let i = 0; i < 64; i += 1) (next() > 128 ? one : two).forEach((value, c) => { rgb[3 * i + c] = value; });
  return encodePng(rgb, 8, 8);
}
const nameOf = (n) => `${WORDS[n % 16]}/${WORDS[(n >> 4) % 16]}-${WORDS[(n >> 8) % 16]}-${n}.png`;

function add(dir, n) {
  const path = join(dir, 'artworks', nameOf(n));
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, picture(n));
}

/** Serves `bodyOf(path)`: `{body, gzip}`, or null. */
function serve(bodyOf) {
  const server = createServer((request, response) => {
    const asked = decodeURIComponent(request.url.split('?')[0]);
    const path = normalize(asked.endsWith('/') ? `${asked}index.html` : asked);
    const found = bodyOf(path);
    if (!found) { response.writeHead(404); response.end(); return; }
    response.writeHead(200, { 'Content-Type': TYPES[extname(path)] || 'application/octet-stream',
      'Cache-Control': /-[0-9a-f]{8}\.\w+$/.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache', ...(found.gzip && { 'Content-Encoding': 'gzip' }) });
    response.end(found.body);
  });
  return new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(server)); });
}

const kb = (bytes) => `${(bytes / 1000).toFixed(bytes < 10000 ? 1 : 0)} KB`;
const second = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** A folder with a mosaic of `count` works, or some more that came to one that was kept. */
function build(count) {
  const dir = SITES ? join(SITES, `${count}-${CELL}`) : mkdtempSync(join(tmpdir(), 'mosaicd-page-'));
  const config = join(dir, 'mosaicd.toml');
  if (existsSync(join(dir, 'output/index.html'))) return { dir, config };
  for (let n = 0; n < count; n += 1) add(dir, n);
  writeFileSync(config, `[folders]\nartworks = "${dir}/artworks"\nstate = "${dir}/state"\noutput = "${dir}/output"\n`
    + `[tile]\nsize_px = ${CELL}\n[mosaic]\njpg = false\n[watch]\nsettle_ms = 50\n`);
  const built = spawnSync(BINARY, ['--config', config, 'build'], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(built.stderr);
  return { dir, config };
}

/** The files of an output folder, compressed where they lie compressed. */
const published = (root) => (path) => {
  const file = join(root, path);
  const gzip = existsSync(`${file}.gz`);
  return existsSync(file) ? { gzip, body: readFileSync(gzip ? `${file}.gz` : file) } : null;
};

/** The same of a mosaic that is made up. */
function madeUp(count) {
  const page = mkdtempSync(join(tmpdir(), 'mosaicd-page-'));
  writePage(page);
  const bodyOf = generated(count, CELL, page);
  return Object.assign((path) => {
    const body = bodyOf(path);
    const gzip = /\.(html|js|css|json)$/.test(path);
    return body && { gzip, body: gzip ? gzipSync(body, { level: 9 }) : body };
  }, { arrive: bodyOf.arrive });
}

async function measure(count) {
  const { dir, config } = GENERATED ? {} : build(count);
  const bodyOf = GENERATED ? madeUp(count) : published(join(dir, 'output'));
  const server = await serve(bodyOf);
  const url = `http://127.0.0.1:${server.address().port}/`;
  const browser = await launch();
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 }, bypassCSP: true })).newPage();
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Network.enable');
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 100, downloadThroughput: KBIT * 125, uploadThroughput: KBIT * 125 });
  const urls = new Map();
  let [text, tiles] = [0, 0];
  cdp.on('Network.responseReceived', ({ requestId, response }) => urls.set(requestId, response.url));
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (/\/(t\/|icon|apple)/.test(urls.get(requestId))) tiles += encodedDataLength;
    else text += encodedDataLength;
  });
  await page.goto(url, { waitUntil: 'commit' });
  const app = (expression) => page.waitForFunction(`(() => { const { app } = window.mosaicd || {}; return Boolean(app && app.model && (${expression})); })()`, null, { polling: 20, timeout: 600000 });
  await app('app.tiles.stats().entries > app.tiles.stats().loading');
  const first = { text, tiles, ms: await page.evaluate(() => performance.now()) };
  await app('!app.model.loading');
  await app('app.tiles.stats().loading + app.tiles.stats().wanted === 0');
  await page.waitForTimeout(500);
  const all = { text, tiles, ms: await page.evaluate(() => performance.now()) - 500 };
  const heap = (await cdp.send('Runtime.getHeapUsage')).usedSize;
  await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });

  const daemon = GENERATED ? null : spawn(BINARY, ['--config', config, 'run'], { stdio: 'ignore' });
  const lines = [];
  for (let i = 0; i < ARRIVALS; i += 1) {
    [text, tiles] = [0, 0];
    const before = await page.evaluate(() => window.mosaicd.app.model.works.length);
    if (GENERATED) bodyOf.arrive();
    else {
      let n = count;
      while (existsSync(join(dir, 'artworks', nameOf(n)))) n += 1;
      add(dir, n);
    }
    await app(`app.model.works.length > ${before} && !app.generations.waiting()`);
    lines.push({ text, tiles });
  }
  if (daemon) daemon.kill();
  await browser.close();
  server.close();
  if (dir && !SITES) rmSync(dir, { recursive: true, force: true });
  lines.sort((a, b) => a.text - b.text);
  console.log(`| ${count.toLocaleString('en')} | ${kb(first.text)} | ${kb(first.tiles)} | ${second(first.ms)} | ${kb(all.text)} | ${kb(all.tiles)} | ${second(all.ms)} | ${kb(lines[1].text)} | ${kb(lines[1].tiles)} | ${(heap / 1e6).toFixed(0)} MB |`);
}

const counts = process.argv.slice(2).filter((word) => !word.startsWith('--')).map(Number);
const sizes = counts.length ? counts : [1000, 10000, 60000];
if (process.argv.includes('--build')) {
  for (const count of sizes) console.log(build(count).dir);
  process.exit();
}
console.log(`Cells of ${CELL} px, ${KBIT} kbit/s, ${new Date().toISOString().slice(0, 10)}`);
console.log('| works | first picture: text | tiles | after | overview: text | tiles | after | arrival: text | tiles | heap |');
console.log('| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
for (const count of sizes) await measure(count);

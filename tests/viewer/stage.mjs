// What the browser tests stand on: a web server over a folder, Chromium, and pages that note what went wrong in them.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { launch } from './browser.mjs';
import { Pictures, writeGeneration, writePage } from './fake_output.mjs';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json',
  '.jpg': 'image/jpeg', '.png': 'image/png', '.dzi': 'application/xml' };

/**
 * A server and a browser. `root` is a temporary folder; `fileOf(path)` says which file a request means, by default one
 * below `root`, or gives its body as `{body}`. `requests` and `missed` hold paths. `strict`: a page that is not found
 * something fails in `close`.
 */
export async function createStage({ fileOf, strict = false } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'mosaicd-viewer-'));
  const stage = { root, requests: [], missed: [] };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url.split('?')[0]);
    stage.requests.push(path);
    const wanted = path.endsWith('/') ? `${path}index.html` : path;
    const file = fileOf ? fileOf(wanted) : join(root, normalize(wanted));
    try {
      const body = file.body || readFileSync(file);
      response.writeHead(200, { 'Content-Type': TYPES[extname(wanted)] || 'application/octet-stream' });
      response.end(body);
    } catch {
      stage.missed.push(path);
      response.writeHead(404);
      response.end();
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  stage.base = `http://127.0.0.1:${server.address().port}`;
  stage.browser = await launch();
  stage.end = async () => {
    await stage.browser.close();
    server.close();
    rmSync(root, { recursive: true, force: true });
  };

  /** A page at an address, in a context of its own unless one is given; `init` runs in it before its own scripts. */
  stage.open = async (url, { context, init, ...options } = {}) => {
    const own = context || await stage.browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    own.setDefaultTimeout(120_000); // How slow a machine is, is not what is tested.
    const page = await own.newPage();
    page.problems = [];
    page.on('pageerror', (error) => page.problems.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && (strict || !/404/.test(message.text()))) page.problems.push(message.text());
    });
    stage.missed.length = 0;
    if (init) await page.addInitScript(init);
    await page.goto(url);
    return page;
  };
  /** Closes a page's context, and fails if anything went wrong in the page. */
  stage.close = async (page) => {
    assert.deepEqual(page.problems, []);
    if (strict) assert.deepEqual(stage.missed, []);
    await page.context().close();
  };
  return stage;
}

/** Waits until a page shows a generation, nothing moves and no tile is on its way. */
export const settled = (page) => page.waitForFunction(() => {
  const { app } = window.mosaicd;
  if (!app || !app.model) return false;
  const { loading, wanted } = app.tiles.stats();
  return !app.camera.moving() && !loading && !wanted;
}, null, { polling: 50 });

// ---- works of flat colours, so that one pixel of the canvas tells which work is drawn there ----

export const DAY = 86400000;
export const CELL = 64;
export const colourOf = (key) => [60 + (key * 37) % 180, 60 + (key * 71) % 180, 60 + (key * 113) % 180];
export const pictures = new Pictures(CELL, (key, px) => {
  const rgb = Buffer.alloc(px * px * 3);
  for (let i = 0; i < rgb.length; i += 1) rgb[i] = colourOf(key)[i % 3];
  return rgb;
});

/** A grid of works, `cols` × `rows`, less the last `spare` cells; picture = id. */
export function grid(cols, rows, { spare = 0, now = Date.now() } = {}) {
  const works = [];
  for (let i = 0; i < cols * rows - spare; i += 1) {
    const [col, row] = [i % cols, Math.floor(i / cols)];
    const folder = i % 2 ? 'evens & odds' : 'spheres';
    works.push({ id: 100 + i, picture: 100 + i, path: `${folder}/work-${String(i).padStart(3, '0')}.png`, col, row,
      size: 1234 + i, added_ms: now - (i < 5 ? 2 : 90) * DAY,
      neighbours: [1, 2, 3].map((step) => 100 + ((i + step) % (cols * rows - spare))) });
  }
  return works;
}

let folders = 0;
/** A fresh output folder with the page and, unless `works` is null, one generation. */
export function createOutput(stage, works = grid(12, 8), { cols = 12, rows = 8, ...rest } = {}) {
  folders += 1;
  const name = `out-${folders}`;
  const dir = join(stage.root, name);
  writePage(dir);
  const state = { dir, url: `${stage.base}/${name}/`, generation: 1 };
  state.write = (list, more = {}) => writeGeneration(dir, { works: list, cols, rows, pictures, title: 'Test mosaic',
    published: 1_700_000_000_000 + state.generation, generation: state.generation++, ...rest, ...more });
  if (works) state.write(works);
  return state;
}

/** Where a work's middle is on the page. */
export const centreOf = (page, id) => page.evaluate((id) => {
  const { app } = window.mosaicd;
  const work = app.model.works[app.model.byId.get(id)];
  return app.camera.toScreen(work.col + 0.5, work.row + 0.5);
}, id);
/** The colour of the mosaic's canvas, or another's, at a place of the page. */
export const pixel = (page, { x, y }, selector = '#mosaic') => page.evaluate(([x, y, selector]) => {
  const { dpr } = window.mosaicd.app.camera;
  const context = document.querySelector(selector).getContext('2d');
  return [...context.getImageData(Math.round(x * dpr), Math.round(y * dpr), 1, 1).data.slice(0, 3)];
}, [x, y, selector]);
export const near = (a, b) => a.every((value, i) => Math.abs(value - b[i]) <= 4);
export const click = async (page, id) => { const at = await centreOf(page, id); await page.mouse.click(at.x, at.y); };
export const poll = (page) => page.evaluate(() => window.mosaicd.app.source.poll());

// What the page loads of a mosaic that the real binary published: the head and columns first, the rest when it is needed,
// and of a new generation only what changed.
//
//   MOSAICD_BIN=target/release/mosaicd node --test tests/viewer/light.test.mjs   (tests/viewer/run.sh sets it all up)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { centreOf, createStage, poll, settled } from './stage.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const BINARY = process.env.MOSAICD_BIN || join(HERE, '../../target/release/mosaicd');
const WORKS = 80;

let stage;
let dir;
const output = () => join(dir, 'output');
const state = (page) => page.evaluate(() => {
  const { app } = window.mosaicd;
  return app.model.works.map(({ id, col, row }) => [id, col, row]).sort((a, b) => a[0] - b[0]);
});
const published = () => JSON.parse(readFileSync(join(output(), 'manifest.json'), 'utf8')).works
  .map(({ id, col, row }) => [id, col, row]).sort((a, b) => a[0] - b[0]);

function build() {
  const run = spawnSync(BINARY, ['--config', join(dir, 'mosaicd.toml'), 'build'], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
}

before(async () => {
  stage = await createStage({ fileOf: (path) => join(output(), normalize(path)) });
  dir = stage.root;
  const run = spawnSync(BINARY, ['demo', dir, '-n', String(WORKS + 3), '--size', '64'], { encoding: 'utf8' });
  assert.equal(run.status, 0, run.stderr);
  for (const part of ['output', 'state']) rmSync(join(dir, part), { recursive: true, force: true });
  const works = readdirSync(join(dir, 'artworks')).filter((name) => name.endsWith('.png')).sort();
  mkdirSync(join(dir, 'kept'));
  works.slice(WORKS).forEach((name) => renameSync(join(dir, 'artworks', name), join(dir, 'kept', name)));
  for (const [n, folder] of ['ink', 'oil'].entries()) {
    mkdirSync(join(dir, 'artworks', folder));
    works.slice(0, WORKS).forEach((name, i) => {
      if (i % 2 === n) renameSync(join(dir, 'artworks', name), join(dir, 'artworks', folder, name));
    });
  }
  const rows = works.slice(0, WORKS).map((name, i) => `${i % 2 ? 'oil' : 'ink'}/${name},${1900 + (i % 4)},${i % 3 ? 'sea; night' : 'sea'},secret`);
  writeFileSync(join(dir, 'artworks/artworks.csv'), ['path,year,tags,owner', ...rows].join('\n'));
  writeFileSync(join(dir, 'mosaicd.toml'), `[folders]\nartworks = "${dir}/artworks"\nstate = "${dir}/state"\noutput = "${output()}"\n`
    + '[page]\nfilters = ["year", "tags"]\nurl = "https://example.org/m/"\n');
  build();
});
after(() => stage?.end());

test('the first load takes head and columns; texts come when a work is looked at, all of them when somebody searches', async () => {
  stage.requests.length = 0;
  const page = await stage.open(`${stage.base}/`);
  await settled(page);
  assert.deepEqual(await state(page), published());
  const kinds = () => new Set(stage.requests.filter((path) => path.startsWith('/p/')).map((path) => path.split(/[/-]/)[2]));
  assert.deepEqual([...kinds()].sort(), ['cells', 'head']);
  assert.ok(!stage.requests.some((path) => path.includes('manifest')), 'the manifest is not read');
  const [id] = published()[7];
  const at = await centreOf(page, id);
  await page.mouse.move(at.x, at.y);
  await page.waitForSelector('#label.visible');
  assert.ok(kinds().has('text') && !kinds().has('near'));
  await page.mouse.click(at.x, at.y);
  await page.waitForFunction(() => document.querySelectorAll('#card-like li').length > 4);
  const work = JSON.parse(readFileSync(join(output(), 'manifest.json'), 'utf8')).works.find((work) => work.id === id);
  assert.ok((await page.textContent('#card-path')).includes(work.path));
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  await page.keyboard.type(work.path.slice(4, 10));
  await page.waitForSelector('#search-list li');
  await stage.close(page);
});

test('an open page follows arrivals and removals by deltas alone, and one that was away takes several at once', async () => {
  const page = await stage.open(`${stage.base}/`);
  await settled(page);
  const [first, second, third] = readdirSync(join(dir, 'kept')).sort();
  const generation = () => page.evaluate(() => window.mosaicd.app.model.manifest.generation);
  const before = await generation();
  copyFileSync(join(dir, 'kept', first), join(dir, 'artworks/ink', first));
  build();
  stage.requests.length = 0;
  await poll(page);
  await page.waitForFunction((n) => window.mosaicd.app.model.manifest.generation > n, before);
  assert.deepEqual(await state(page), published());
  const asked = () => stage.requests.filter((path) => path.startsWith('/p/') && !/^\/p\/(text|tiles)-/.test(path));
  assert.equal(asked().length, 1, asked().join(' '));
  assert.match(asked()[0], /^\/p\/delta-/);
  await settled(page);

  copyFileSync(join(dir, 'kept', second), join(dir, 'artworks/oil', second));
  build();
  copyFileSync(join(dir, 'kept', third), join(dir, 'artworks/oil', third));
  build();
  rmSync(join(dir, 'artworks/ink', first));
  build();
  stage.requests.length = 0;
  const middle = await generation();
  await poll(page);
  await page.waitForFunction((n) => window.mosaicd.app.model.manifest.generation > n + 1, middle);
  await settled(page);
  assert.deepEqual(await state(page), published());
  const fresh = await stage.open(`${stage.base}/`);
  await settled(fresh);
  const chips = (page) => page.$$eval('.chip', (chips) => chips.map((chip) => chip.textContent));
  assert.deepEqual(await chips(page), await chips(fresh), 'counts follow, too');
  await stage.close(fresh);
  await stage.close(page);
});

test('a delta that cannot be had, and a network that is gone for a while, only delay an open page', async () => {
  const context = await stage.browser.newContext({ viewport: { width: 1200, height: 800 } });
  await context.route('**/p/delta-*', (route) => route.fulfill({ status: 404, body: '' }));
  const page = await stage.open(`${stage.base}/`, { context });
  await settled(page);
  const before = await page.evaluate(() => window.mosaicd.app.model.manifest.generation);
  const work = readdirSync(join(dir, 'artworks/oil')).sort()[0];
  renameSync(join(dir, 'artworks/oil', work), join(dir, 'kept', work));
  build();
  await context.setOffline(true);
  await poll(page);
  await poll(page);
  await page.waitForFunction(() => !document.getElementById('offline').hidden);
  // A card and the search say what they know, and the rest when it is there.
  const [id] = published()[20];
  await page.evaluate((id) => window.mosaicd.app.open(id), id);
  assert.equal(await page.isVisible('#card'), true);
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  assert.equal(await page.textContent('#search-status'), 'Loading names …');
  await context.setOffline(false);
  await poll(page);
  await page.waitForFunction((n) => window.mosaicd.app.model.manifest.generation > n, before);
  assert.deepEqual(await state(page), published());
  assert.equal(await page.isVisible('#offline'), false);
  await page.keyboard.type('a');
  await page.waitForSelector('#search-list li');
  page.problems = page.problems.filter((text) => !/ERR_INTERNET_DISCONNECTED|status of 404/.test(text));
  await stage.close(page);
  renameSync(join(dir, 'kept', work), join(dir, 'artworks/oil', work));
  build();
});

test('columns that the configuration names are filters with counts, combined and kept in the address; others are not published', async () => {
  const page = await stage.open(`${stage.base}/#only=year:1901&only=tags:night`);
  await settled(page);
  await page.waitForFunction(() => window.mosaicd.app.dimmed() && window.mosaicd.app.known(['facet']));
  const kept = await page.evaluate(() => window.mosaicd.app.model.works
    .filter((work) => work.values.get('year')?.includes('1901') && work.values.get('tags')?.includes('night')).length);
  const wanted = Array.from({ length: WORKS }, (_, i) => i).filter((i) => i % 4 === 1 && i % 3).length;
  assert.equal(kept, wanted);
  await page.click('.chip.column >> nth=1');
  const years = await page.$$eval('#facet-values .chip', (chips) => chips.map((chip) => [chip.textContent, chip.getAttribute('aria-pressed')]));
  // Of each year those that the other filter leaves.
  const night = (n) => Array.from({ length: WORKS }, (_, i) => i).filter((i) => i % 4 === n && i % 3).length;
  assert.deepEqual(years.map(([text]) => text), [0, 1, 2, 3].map((n) => `${1900 + n} ${night(n)}`));
  assert.deepEqual(years.filter(([, pressed]) => pressed === 'true').map(([text]) => text), [`1901 ${night(1)}`]);
  await page.click('#facet-values .chip >> nth=2');
  await page.waitForFunction(() => window.location.hash.includes('only=year:1902'));
  await page.keyboard.press('Escape');
  assert.equal(await page.isVisible('#facet'), false);
  const text = readdirSync(output()).filter((name) => /manifest|latest/.test(name)).map((name) => readFileSync(join(output(), name), 'utf8')).join('')
    + readdirSync(join(output(), 'p')).filter((name) => name.endsWith('.json')).map((name) => readFileSync(join(output(), 'p', name), 'utf8')).join('');
  assert.ok(!text.includes('secret'), 'a column that is not named stays private');
  await stage.close(page);
});

test('search finds works by what they look like, where words are published, and says so', async () => {
  const context = await stage.browser.newContext({ viewport: { width: 1200, height: 800 } });
  const ids = published().slice(40, 45).map(([id]) => id);
  await context.route('**/p/head-*.json', async (route) => {
    const head = await (await route.fetch()).json();
    head.blocks.words = '1111111122222222';
    await route.fulfill({ json: head });
  });
  const words = ['sea', 'piano keys', 'seal', 'stormy sea'];
  await context.route('**/p/words-0-11111111.json', (route) => route.fulfill({ json: { words, count: [0, 5, 1, 0] } }));
  await context.route('**/p/words-1-22222222.json', (route) => route.fulfill({ json: [[], ids, ids.slice(0, 1), []] }));
  const page = await stage.open(`${stage.base}/#find=piano`, { context });
  await page.waitForFunction(() => document.querySelectorAll('#search-list li').length);
  const rows = () => page.$$eval('#search-list .where', (rows) => rows.map((row) => row.textContent));
  assert.deepEqual(await rows(), ids.map(() => 'Looks like piano keys'));
  assert.deepEqual(await page.evaluate(() => { const { app } = window.mosaicd; return [...app.filter.matches].map((i) => app.model.works[i].id); }), ids);
  assert.equal(await page.textContent('#search-status'), '5 works');
  // A word with no works is not taken; what begins a word is.
  await page.fill('#search-input', 'sea');
  await page.waitForFunction(() => document.querySelectorAll('#search-list .where').length === 1);
  assert.deepEqual(await rows(), ['Looks like seal']);
  await page.keyboard.press('Enter');
  await page.waitForFunction((id) => window.mosaicd.app.card.id === id, ids[0]);
  await stage.close(page);
});

test('a shared work has a page of its own that opens the mosaic there', async () => {
  const [id] = published()[5];
  const html = readFileSync(join(output(), `w/${Math.floor(id / 1000)}/${id}.html`), 'utf8');
  assert.match(html, /<meta property="og:image" content="https:\/\/example\.org\/m\//);
  const context = await stage.browser.newContext();
  await context.route('https://example.org/**', (route) => route.fulfill({ body: '' }));
  const page = await stage.open(`${stage.base}/w/${Math.floor(id / 1000)}/${id}.html`, { context });
  await page.waitForURL(`${stage.base}/#work=${id}`);
  await page.waitForFunction((id) => window.mosaicd?.app?.card.id === id, id);
  await stage.close(page);
});

test('while works load there is the picture and the title, and no cell is taken for a spare one', async () => {
  let free;
  const held = new Promise((resolve) => { free = resolve; });
  const page = await (await stage.browser.newContext({ viewport: { width: 1200, height: 800 } })).newPage();
  await page.route('**/p/cells-*', async (route) => { await held; await route.continue(); });
  await page.goto(`${stage.base}/`);
  await page.waitForFunction(() => { const { app } = window.mosaicd; return app.model && app.tiles.stats().entries && !app.tiles.stats().loading; });
  assert.equal(await page.textContent('#count'), `${published().length} works`);
  const colours = () => page.evaluate(() => {
    const { app } = window.mosaicd;
    const at = app.camera.toScreen(app.model.cols / 2, app.model.rows / 2);
    const { data } = app.canvas.getContext('2d').getImageData(at.x - 100, at.y - 100, 200, 200);
    return new Set(Array.from({ length: 400 }, (_, i) => data.slice(400 * i, 400 * i + 3).join())).size;
  });
  assert.ok(await colours() > 20, 'a picture, not a blank');
  assert.equal(await page.evaluate(() => document.body.dataset.state), 'ready');
  free();
  await page.waitForFunction(() => !window.mosaicd.app.model.loading);
  await page.context().close();
});

// What a visitor sees of time, in a real browser: the time-lapse, what is new since the last visit, and works that are gone.
//
//   node --test tests/viewer/visits.test.mjs   (tests/viewer/run.sh sets it all up)
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { centreOf, colourOf, createOutput, createStage, grid, near, pixel, settled } from './stage.mjs';

let stage;
const close = (page) => stage.close(page);

before(async () => { stage = await createStage(); });
after(() => stage?.end());

const placed = (works) => works.flatMap(({ id, col, row }) => [id, col, row]);
const asked = (name) => stage.requests.filter((path) => path.endsWith(`/${name}`)).length;
/** Writes a journal; the page does not check the sums in it. */
const writePast = (out, lines) => writeFileSync(join(out.dir, 'history.js'),
  lines.map((line) => `mosaicd.past("00000000",${JSON.stringify(line)});\n`).join(''));

/** Two generations: half of the works, then all, with two of the first half changing places. */
function twoGenerations(out, works) {
  const [a, b] = works;
  const before = works.slice(0, works.length / 2).map((work) => ({ ...work }));
  [before[0].col, before[1].col] = [b.col, a.col];
  writePast(out, [
    { g: 1, t: 1_600_000_000_000, c: [12, 8], b: true, p: placed(before) },
    { g: 2, t: 1_700_000_000_000, c: [12, 8], d: 94, p: placed([a, b, ...works.slice(before.length)]) },
  ]);
  return before;
}

test('the time-lapse plays from the first generation to the present and ends by itself', async () => {
  const works = grid(12, 8);
  const out = createOutput(stage, works);
  twoGenerations(out, works);
  const page = await stage.open(out.url);
  await settled(page);
  assert.equal(asked('history.js'), 0, 'the journal is read when it is asked for');
  // The time-lapse's own clock: every frame is half a second after the one before.
  await page.evaluate(() => {
    let now = performance.now();
    window.captions = [];
    const frame = window.requestAnimationFrame.bind(window);
    performance.now = () => now;
    window.requestAnimationFrame = (draw) => frame(() => {
      now += 100;
      draw(now);
      const caption = document.getElementById('caption').textContent;
      if (window.captions.at(-1) !== caption) window.captions.push(caption);
    });
  });
  await page.keyboard.press('g');
  await page.waitForSelector('#timelapse');
  await page.waitForSelector('#timelapse', { state: 'detached' });
  const captions = await page.evaluate(() => window.captions);
  const last = captions.filter(Boolean).at(-1);
  assert.ok(last.endsWith('96 works · 0.9 cells from home on average'), `it says the drift: ${last}`);
  const counts = captions.map((text) => Number((/ (\d+) works/.exec(text) || [])[1])).filter(Boolean);
  assert.ok(counts.length >= 3 && counts[0] < 48, `it begins with few works: ${counts}`);
  assert.ok(counts.includes(48), `the first generation has 48 works: ${counts}`);
  assert.equal(counts.at(-1), 96, 'it ends with the present');
  assert.deepEqual(counts, [...counts].sort((a, b) => a - b));
  assert.equal(asked('history.js'), 1);
  assert.equal(await page.isVisible('#caption') && await page.textContent('#caption'), '');
  await close(page);
});

test('the time-lapse shows works where they were, pauses on space, and is left by any other key, a click or the wheel', async () => {
  const works = grid(12, 8);
  const out = createOutput(stage, works);
  twoGenerations(out, works);
  const page = await stage.open(out.url);
  await settled(page);
  for (const leave of [() => page.keyboard.press('Escape'), () => page.mouse.click(600, 400), () => page.mouse.wheel(0, 50)]) {
    await page.keyboard.press('g');
    await page.waitForFunction(() => /48 works/.test(document.getElementById('caption').textContent));
    await page.keyboard.press(' ');
    const state = () => page.evaluate(() => [window.mosaicd.app.timelapse.paused, document.getElementById('caption').textContent]);
    const [paused, caption] = await state();
    assert.equal(paused, true);
    await page.waitForTimeout(900);
    assert.deepEqual(await state(), [true, caption], 'it stands still');
    // Two works had changed places: in the time-lapse's first generation each is where the other is now.
    const cell = await page.evaluate(() => {
      const canvas = document.getElementById('timelapse');
      const side = 0.92 * Math.min(canvas.width / 12, canvas.height / 8);
      return { left: (canvas.width - 12 * side) / 2, top: (canvas.height - 8 * side) / 2, side };
    });
    const at = (col) => pixel(page, { x: cell.left + (col + 0.5) * cell.side, y: cell.top + 0.5 * cell.side }, '#timelapse');
    assert.ok(near(await at(works[0].col), colourOf(works[1].id)), 'the one is where the other is now');
    assert.ok(near(await at(works[1].col), colourOf(works[0].id)), 'and the other way round');
    await page.keyboard.press(' ');
    await page.waitForFunction(() => /96 works/.test(document.getElementById('caption').textContent));
    await leave();
    assert.equal(await page.locator('#timelapse').count(), 0);
    assert.equal(await page.evaluate(() => document.body.classList.contains('timelapse-on')), false);
    assert.equal(await page.isVisible('#card'), false, 'the click that ends it does nothing else');
  }
  const seen = await pixel(page, await centreOf(page, works[0].id));
  assert.ok(near(seen, colourOf(works[0].id)), 'the mosaic is there as it was');
  await close(page);
});

test('without a journal the time-lapse says so; from disk it plays too', async () => {
  const works = grid(12, 8);
  const none = createOutput(stage, works);
  const page = await stage.open(none.url);
  await settled(page);
  await page.keyboard.press('g');
  await page.waitForFunction(() => document.getElementById('notice-text').textContent === 'No history yet');
  twoGenerations(none, works);
  const fromDisk = await stage.open(`file://${none.dir}/index.html`);
  await settled(fromDisk);
  await fromDisk.keyboard.press('g');
  await fromDisk.waitForSelector('#timelapse');
  await fromDisk.keyboard.press('Escape');
  await close(page);
  await close(fromDisk);
});

test('a long journal is turned into steps without holding up the page', async () => {
  const works = grid(100, 100);
  const out = createOutput(stage, works.slice(0, 1), { cols: 100, rows: 100 });
  const page = await stage.open(out.url);
  await settled(page);
  const told = await page.evaluate((p) => {
    const { stepsOf } = window.mosaicd;
    const lines = [{ g: 1, t: 1, c: [100, 100], b: true, p }];
    for (let g = 2; g <= 900; g += 1) {
      const moved = [];
      for (let i = 0; i < 40; i += 1) { const id = 100 + (g * 7919 + i * 104729) % 10000; moved.push(id, id % 100, (id * 7) % 100); }
      lines.push({ g, t: g, c: [100, 100], p: moved, r: g % 3 ? [] : [100 + g] });
    }
    const steps = stepsOf(lines);
    const there = new Set();
    for (const { placed, gone } of steps) {
      for (const id of gone) there.delete(id);
      for (const id of placed.keys()) there.add(id);
    }
    const now = new Set();
    for (const { p: cells, r = [] } of lines) {
      for (const id of r) now.delete(id);
      for (let i = 0; i < cells.length; i += 3) now.add(cells[i]);
    }
    const kept = steps.reduce((sum, { placed, gone }) => sum + placed.size + gone.size, 0);
    return { steps: steps.length, last: steps.at(-1).time, same: there.size === now.size && [...there].every((id) => now.has(id)), kept };
  }, placed(works));
  assert.ok(told.steps > 30 && told.steps <= 61, `${told.steps} steps`);
  assert.deepEqual([told.last, told.same], [900, true]);
  // A whole state a step would be 600,000 places.
  assert.ok(told.kept < 10_000 + 900 * 41, `${told.kept} places are kept`);
  await close(page);
});

test('a second visit is told what came and what moved, and can watch it', async () => {
  const works = grid(12, 8);
  const out = createOutput(stage, null);
  out.write(twoGenerations(out, works));
  const context = await stage.browser.newContext({ viewport: { width: 1200, height: 800 } });
  const first = await stage.open(out.url, { context });
  await settled(first);
  assert.equal(await first.textContent('#notice-text'), '', 'a first visit has nothing to compare with');
  await first.close();
  out.write(works);
  const page = await stage.open(out.url, { context });
  await settled(page);
  stage.requests.length = 0;
  assert.equal(await page.textContent('#notice-text'), '48 new since your last visit');
  await page.click('#notice-action');
  await page.waitForFunction(() => document.getElementById('notice-text').textContent === '2 works have moved');
  assert.equal(asked('history.js'), 1, 'the journal is read when it is asked for');
  const shown = await page.evaluate(() => [...window.mosaicd.app.filter.arrivals]);
  assert.deepEqual(shown.sort((a, b) => a - b), works.slice(48).map(({ id }) => id));
  await page.click('#notice-action');
  await page.waitForFunction(() => /48 works/.test(document.getElementById('caption').textContent));
  await page.waitForFunction(() => /96 works/.test(document.getElementById('caption').textContent));
  await page.keyboard.press('Escape');
  await page.reload();
  await settled(page);
  assert.equal(await page.textContent('#notice-text'), '', 'once is enough');
  await close(page);
});

test('a page from before an erasure finds no tiles, asks for the manifest at once, and goes on without the work', async () => {
  // So many that the overview does not need the deepest tiles.
  const works = grid(48, 32);
  const out = createOutput(stage, works, { cols: 48, rows: 32 });
  // Without its five-second timer the page does not look for a new generation: only a missing tile can tell it.
  const page = await stage.open(out.url, { init: () => {
    const { setTimeout } = window;
    window.setTimeout = (run, ms, ...rest) => (ms === 5000 ? 0 : setTimeout(run, ms, ...rest));
  } });
  await settled(page);
  const gone = works[800];
  const where = await page.evaluate((id) => { const { app } = window.mosaicd; const work = app.model.works[app.model.byId.get(id)]; return { col: work.col, row: work.row }; }, gone.id);
  const before = tilesOf(out.dir);
  out.write(works.filter((work) => work !== gone));
  const now = tilesNamed(out.dir);
  for (const file of before) if (!now.has(file)) rmSync(join(out.dir, 't', file));
  stage.missed.length = 0;
  await page.evaluate(({ col, row }) => {
    const { app } = window.mosaicd;
    app.camera.fly({ x: col + 0.5, y: row + 0.5, scale: 200 }, performance.now());
    app.requestFrame();
  }, where);
  await page.waitForFunction(() => window.mosaicd.app.model.manifest.generation === 2);
  assert.ok(stage.missed.some((path) => path.includes('/t/')), 'a tile was missing');
  await settled(page);
  await page.waitForFunction(([col, row]) => {
    const { app } = window.mosaicd;
    const at = app.camera.toScreen(col + 0.5, row + 0.5);
    const [r, g, b] = app.canvas.getContext('2d').getImageData(Math.round(at.x), Math.round(at.y), 1, 1).data;
    const paper = getComputedStyle(document.documentElement).getPropertyValue('--paper').trim();
    return [r, g, b].every((value, i) => Math.abs(value - parseInt(paper.slice(1 + 2 * i, 3 + 2 * i), 16)) <= 6);
  }, [where.col, where.row]);
  stage.missed.length = 0;
  await page.evaluate(() => window.mosaicd.app.home());
  await settled(page);
  assert.deepEqual(stage.missed, [], 'nothing more is missing');
  assert.equal(await page.isVisible('#offline'), false, 'and nothing is said about it');
  await close(page);
});

/** Tiles on disk, as `level/file`. */
function tilesOf(dir) {
  return readdirSync(join(dir, 't')).flatMap((level) => readdirSync(join(dir, 't', level)).map((file) => `${level}/${file}`));
}

/** Tiles that the manifest in a folder names, as `level/file`. */
function tilesNamed(dir) {
  const { pyramid } = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8'));
  const named = new Set();
  pyramid.levels.forEach((hashes, n) => {
    const level = pyramid.min_level + n;
    const cols = Math.ceil(Math.ceil(pyramid.width / 2 ** (pyramid.max_level - level)) / pyramid.tile_size);
    for (let i = 0; 8 * i < hashes.length; i += 1) named.add(`${level}/${i % cols}_${Math.floor(i / cols)}-${hashes.slice(8 * i, 8 * i + 8)}.${pyramid.format}`);
  });
  return named;
}

// The page and its generations, on made-up outputs: how it goes from one to the next, and what it says when there is none.
//
//   node --test tests/viewer/generations.test.mjs   (tests/viewer/run.sh sets it all up)
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { centreOf, click, colourOf, createOutput, createStage, grid, near, pixel, poll, settled } from './stage.mjs';
import { publish } from './fake_output.mjs';

let stage;
const output = (...rest) => createOutput(stage, ...rest);
const open = (...rest) => stage.open(...rest);
const close = (page) => stage.close(page);

before(async () => { stage = await createStage(); });
after(() => stage?.end());

test('an inserted column leaves what the visitor looks at where it is, and nothing flashes', async () => {
  const works = grid(12, 8);
  const out = output(works);
  const page = await open(`${out.url}#view=140,0.5,0.5,4`);
  await settled(page);
  await page.waitForTimeout(300);
  const was = await centreOf(page, 140);
  // The same work's pixel in every frame from here on.
  await page.evaluate(([x, y]) => {
    window.seen = new Set();
    const { canvas } = window.mosaicd.app;
    const look = () => {
      window.seen.add([...canvas.getContext('2d').getImageData(x, y, 1, 1).data.slice(0, 3)].join());
      requestAnimationFrame(look);
    };
    look();
  }, [Math.round(was.x), Math.round(was.y)]);
  const grown = works.map((work) => ({ ...work, col: work.col >= 2 ? work.col + 1 : work.col }));
  grown.push({ ...works[0], id: 900, picture: 900, path: 'new.png', col: 2, row: 3, added_ms: Date.now() });
  out.write(grown, { cols: 13 });
  await poll(page);
  await page.waitForFunction(() => window.mosaicd.app.model.cols === 13);
  await page.waitForTimeout(1800);
  await settled(page);
  const is = await centreOf(page, 140);
  assert.ok(Math.hypot(is.x - was.x, is.y - was.y) < 0.5, `from ${JSON.stringify(was)} to ${JSON.stringify(is)}`);
  const seen = await page.evaluate(() => [...window.seen]);
  for (const colour of seen) assert.ok(near(colour.split(',').map(Number), colourOf(140)), `flashed ${colour}`);
  assert.equal(await page.textContent('#notice-text'), '1 new work');
  assert.ok(near(await pixel(page, await centreOf(page, 140)), colourOf(140)));
  await close(page);
});

test('moved, new, changed and removed works end in the right cells', async () => {
  const works = grid(12, 8, { spare: 6 });
  const out = output(works);
  const page = await open(out.url);
  await settled(page);
  await page.waitForTimeout(300);
  const next = works.filter(({ id }) => id !== 120).map((work) => {
    if (work.id === 100) return { ...work, col: 11, row: 7 };
    if (work.id === 101) return { ...work, picture: 555 };
    return work;
  });
  next.push({ ...works[0], id: 901, picture: 901, path: 'new.png', col: 0, row: 0 });
  out.write(next);
  await poll(page);
  await page.waitForFunction(() => window.mosaicd.app.model.byId.has(901));
  // Half-way: the mover is between its cells, its destination still blank.
  await page.waitForTimeout(1900);
  await settled(page);
  const expected = { 100: 100, 101: 555, 901: 901, 150: 150 };
  for (const [id, key] of Object.entries(expected)) {
    const colour = await pixel(page, await centreOf(page, Number(id)));
    assert.ok(near(colour, colourOf(key)), `work ${id} shows ${colour}, not ${colourOf(key)}`);
  }
  const gone = await page.evaluate(() => {
    const at = window.mosaicd.app.camera.toScreen(8.5, 1.5); // Work 120 was in column 8, row 1.
    return at;
  });
  assert.ok(near(await pixel(page, gone), [0xf3, 0xf1, 0xec]), 'the removed work leaves paper');
  assert.equal(stage.requests.filter((path) => path.includes('/t/') && path.includes('undefined')).length, 0);
  await close(page);
});

test('works that stay where they are cost no look-up when a generation comes', async () => {
  const page = await open(output().url);
  await settled(page);
  const said = await page.evaluate(() => {
    const { mosaicd: m } = window;
    const { camera, model } = m.app;
    const works = model.works.map((work, i) => (i === 3 ? { ...work, hash: 'other' } : { ...work }));
    const after = m.createModel({ ...model.manifest, works });
    let looked = 0;
    for (const { byId } of [model, after]) byId.get = (id) => { looked += 1; return Map.prototype.get.call(byId, id); };
    const view = m.viewOf(camera, model);
    const shift = m.worldShift(model, after, view, camera, null);
    const { changed, total } = m.diffVisible(model, after, view, view, shift);
    return { looked, shift, changed: changed.map(({ old }) => old.id), total };
  });
  assert.deepEqual(said, { looked: 2, shift: { dx: 0, dy: 0 }, changed: [103], total: 1 });
  await close(page);
});

test('no line of the tiles\' background lies around a spare cell', async () => {
  const key = Array.from({ length: 999 }, (_, i) => i).find((i) => Math.min(...colourOf(i)) > 190);
  const works = grid(12, 8).filter((_, i) => i % 5 !== 2).map((work) => ({ ...work, picture: key }));
  const { url } = output(works);
  for (const deviceScaleFactor of [1, 2]) {
    const page = await open(url, { deviceScaleFactor });
    await settled(page);
    for (let i = 0; i < 12; i += 1) {
      const scale = i < 8 ? 26 + i * 3.37 : 64 + (i - 8) * 41.3;
      await page.evaluate(([i, scale]) => {
        const { app } = window.mosaicd;
        Object.assign(app.camera, { home: false, scale, x: 6 + i * 0.013, y: 4 - i * 0.017 });
        app.requestFrame();
      }, [i, scale]);
      await page.waitForTimeout(50); // Tiles of the new level are asked for with the next frame,
      await settled(page);
      // and fade in. Works and paper are lighter than the tiles' background; JPEG may be off by a level or two.
      await page.waitForFunction((least) => {
        const { canvas } = window.mosaicd.app;
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.every((value) => value >= least);
      }, Math.min(...colourOf(key)) - 2, { polling: 100, timeout: 5000 }).catch(() => {
        assert.fail(`a dark line at ${scale}, ratio ${deviceScaleFactor}`);
      });
    }
    await close(page);
  }
});

test('the last frame of a glide is the mosaic itself', async () => {
  const works = grid(12, 8);
  const out = output(works);
  const page = await open(`${out.url}#view=140,0.5,0.5,3`);
  await settled(page);
  // 111 comes in from outside the screen, so only a coarse picture of it is at hand; 140 goes there.
  const swap = { 111: works[40], 140: works[11] };
  out.write(works.map((work) => (swap[work.id] ? { ...work, col: swap[work.id].col, row: swap[work.id].row } : work)));
  await poll(page);
  await page.waitForFunction(() => window.mosaicd.app.model.manifest.generation === 2);
  await page.waitForTimeout(1700);
  await settled(page);
  assert.ok(near(await pixel(page, { x: 600, y: 400 }), colourOf(111)));
  const [rest, drawnAgain] = await page.evaluate(async () => {
    const { app } = window.mosaicd;
    const rest = app.canvas.toDataURL();
    app.requestFrame();
    await new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
    return [rest, app.canvas.toDataURL()];
  });
  assert.ok(rest === drawnAgain, 'another frame changes nothing');
  await close(page);
});

test('the open card follows its work and says when it has left', async () => {
  const works = grid(12, 8);
  const out = output(works);
  const page = await open(`${out.url}#work=150`);
  await settled(page);
  out.write(works.map((work) => (work.id === 150 ? { ...work, path: 'spheres/renamed.png' } : work)));
  await poll(page);
  await page.waitForFunction(() => document.getElementById('card-name').textContent === 'renamed');
  out.write(works.filter(({ id }) => id !== 150));
  await poll(page);
  await page.waitForSelector('#card', { state: 'hidden' });
  assert.equal(await page.textContent('#notice-text'), 'This work has left the mosaic');
  await close(page);
});

test('asks for latest alone while nothing changes, and only in its own folder', async () => {
  const out = output();
  const page = await open(out.url);
  const outside = [];
  page.on('request', (request) => { if (!request.url().startsWith(out.url) && !request.url().startsWith('data:')) outside.push(request.url()); });
  // Settled it is before its first frame, too, which asks for tiles.
  for (let seen = -1; seen !== stage.requests.length;) {
    seen = stage.requests.length;
    await page.waitForTimeout(300);
    await settled(page);
  }
  stage.requests.length = 0;
  await poll(page);
  await poll(page);
  await page.waitForTimeout(200);
  assert.deepEqual([...new Set(stage.requests.map((path) => path.split('/').pop()))], ['latest.json']);
  assert.deepEqual(outside, []);
  await close(page);
});

test('works straight from disk, updates included', async () => {
  const works = grid(12, 8);
  const out = output(works);
  const page = await open(`file://${out.dir}/index.html`);
  await settled(page);
  await page.waitForTimeout(300);
  const at = await centreOf(page, 117);
  const shot = await page.screenshot({ clip: { x: at.x - 1, y: at.y - 1, width: 2, height: 2 } });
  assert.ok(shot.length > 0);
  assert.ok(await page.evaluate(() => window.mosaicd.app.tiles.stats().entries > 0 && window.mosaicd.app.tiles.stats().bytes > 0), 'tiles load from disk');
  await click(page, 117);
  await page.waitForSelector('#card:not([hidden])');
  assert.equal(await page.textContent('#card-name'), 'work-017');
  await page.keyboard.press('Escape');
  out.write([...works.slice(1), { ...works[0], id: 903, path: 'fresh.png', picture: 903 }]);
  await poll(page);
  await page.waitForFunction(() => window.mosaicd.app.model.byId.has(903));
  await close(page);
});

test('says so when there is nothing yet, nothing at all, or something newer', async () => {
  const out = output(null);
  const page = await open(out.url);
  await page.waitForSelector('[data-when="missing"]:not([hidden])');
  const manifest = out.write([], { cols: 0, rows: 0 });
  await poll(page);
  await page.waitForSelector('[data-when="empty"]:not([hidden])');
  out.write(grid(1, 1), { cols: 1, rows: 1 });
  await poll(page);
  await page.waitForSelector('body[data-state="ready"]');
  assert.equal(await page.textContent('#count'), '1 work');
  out.write([], { cols: 0, rows: 0 });
  await poll(page);
  await page.waitForSelector('[data-when="empty"]:not([hidden])');
  publish(out.dir, { ...manifest, schema: 2, generation: 99 });
  await poll(page);
  await page.waitForSelector('[data-when="newer"]:not([hidden])');
  await close(page);
});

test('without a pyramid the mosaic file is shown', async () => {
  const page = await open(output(grid(4, 2), { cols: 4, rows: 2, change: { pyramid: null } }).url);
  await page.waitForFunction(() => window.mosaicd.app && window.mosaicd.app.model);
  await page.waitForTimeout(300);
  assert.ok(stage.requests.some((path) => path.endsWith('/mosaic-1.jpg')));
  await close(page);
});

// Renditions: on the card, in the large view, and in the mosaic where a visitor zooms in.
//
// Each test work has a rendition of 96 × 64 px, which says to be 16 times as large: its middle square is white, what the cell crops away is black. So a pixel
// tells whether the tile (the work's colour), the rendition's middle or its edge is shown.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CELL, centreOf, click, colourOf, createOutput, createStage, grid, near, pixel, settled } from './stage.mjs';

const [WIDTH, HEIGHT] = [96, 64];
const large = () => {
  const rgb = Buffer.alloc(WIDTH * HEIGHT * 3);
  for (let i = 0; i < WIDTH * HEIGHT; i += 1) {
    const x = i % WIDTH;
    rgb.fill(x >= 16 && x < 80 ? 255 : 0, 3 * i, 3 * i + 3);
  }
  return { rgb, width: WIDTH, height: HEIGHT, says: 16 };
};
const WHITE = [255, 255, 255];
let stage;
const output = (more) => createOutput(stage, grid(12, 8), { large, ...more });
const open = (...rest) => stage.open(...rest);
const close = (page) => stage.close(page);
const shown = (page, id) => page.evaluate((id) => {
  const image = document.getElementById(id);
  return { src: image.getAttribute('src'), here: image.classList.contains('here'), width: image.naturalWidth, transform: image.style.transform };
}, id);
const isHere = (page, id) => page.waitForFunction((id) => document.getElementById(id).classList.contains('here'), id);

before(async () => { stage = await createStage(); });
after(() => stage?.end());

test('the card and the large view show the whole work, not its crop', async () => {
  const page = await open(output().url);
  await settled(page);
  assert.ok(!stage.requests.some((path) => path.includes('/large/')), 'none is loaded before it is needed');
  await click(page, 120);
  await isHere(page, 'card-original');
  const card = await shown(page, 'card-original');
  assert.match(card.src, /^large\/[0-9a-f]{2}\//);
  assert.equal(card.width, WIDTH);
  await page.click('#card-picture');
  await isHere(page, 'large-original');
  assert.equal((await shown(page, 'large-original')).src, card.src);
  await close(page);
});

test('zooming in beyond the pixels of a cell shows the rendition, cut as the cell is', async () => {
  const page = await open(output().url);
  await settled(page);
  const zoom = (px) => page.evaluate(async (px) => {
    const { app } = window.mosaicd;
    const work = app.model.works[app.model.byId.get(137)];
    app.camera.jump({ x: work.col + 0.5, y: work.row + 0.5, scale: px });
    app.requestFrame();
    await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
  }, px);
  await zoom(CELL);
  await settled(page);
  assert.ok(near(await pixel(page, await centreOf(page, 137)), colourOf(137)), 'a cell of its own size is a tile');
  await zoom(6 * CELL);
  await page.waitForFunction(() => !window.mosaicd.app.tiles.stats().loading);
  await page.waitForTimeout(400); // It fades in.
  const middle = await centreOf(page, 137);
  assert.ok(near(await pixel(page, middle), WHITE), `${await pixel(page, middle)}`);
  // What the cell crops away is not shown: the rendition's black edges lie outside.
  for (const at of [-0.45, 0.45]) {
    assert.ok(near(await pixel(page, { x: middle.x + at * 6 * CELL, y: middle.y }), WHITE), `at ${at}`);
  }
  const deepest = await page.evaluate(() => {
    const { camera } = window.mosaicd.app;
    return camera.maxScale() / Math.min(camera.width, camera.height);
  });
  assert.ok(deepest > 2, `one may zoom into a work: ${deepest}`);
  await close(page);
});

test('without renditions everything is as it was, and a name from elsewhere is not loaded', async () => {
  const hostile = grid(12, 8);
  const out = createOutput(stage, null);
  const { works } = out.write(hostile);
  for (const work of works) work.large = { file: `https://elsewhere.example/${work.id}.jpg`, width: 9, height: 9 };
  out.write(hostile, { change: { works } });
  const page = await open(out.url);
  await settled(page);
  await click(page, 120);
  await page.click('#card-picture');
  assert.equal((await shown(page, 'large-original')).src, null);
  assert.equal(await page.evaluate(() => window.mosaicd.app.camera.largePx), 0);
  await close(page);
});

test('the large view zooms by wheel, keys, double click and pinch, moves by a drag, and a swipe leads on', async () => {
  const page = await open(output().url, { hasTouch: true });
  await settled(page);
  await click(page, 120);
  await page.click('#card-picture');
  await isHere(page, 'large-original');
  const scale = async () => {
    const [, found] = /scale\((.+)\)/.exec((await shown(page, 'large-original')).transform) || [0, '1'];
    return Number(found);
  };
  await page.mouse.move(600, 400);
  await page.mouse.wheel(0, -300);
  assert.ok(await scale() > 1.5, `${await scale()}`);
  const before = (await shown(page, 'large-original')).transform;
  await page.mouse.down();
  await page.mouse.move(650, 430, { steps: 4 });
  await page.mouse.up();
  assert.notEqual((await shown(page, 'large-original')).transform, before, 'it follows the hand');
  await page.keyboard.press('0');
  assert.equal(await scale(), 1);
  await page.mouse.dblclick(500, 300);
  assert.equal(await scale(), 2.5);
  await page.mouse.dblclick(500, 300);
  assert.equal(await scale(), 1);
  const finger = (type, id, x, y) => page.evaluate(([type, id, x, y]) => {
    const root = document.getElementById('large');
    root.setPointerCapture = () => {};
    root.dispatchEvent(new PointerEvent(type, { pointerId: id, pointerType: 'touch', clientX: x, clientY: y, bubbles: true }));
  }, [type, id, x, y]);
  await finger('pointerdown', 1, 500, 400);
  await finger('pointerdown', 2, 600, 400);
  await finger('pointermove', 2, 700, 400);
  await finger('pointerup', 2, 700, 400);
  await finger('pointerup', 1, 500, 400);
  assert.ok(Math.abs(await scale() - 2) < 0.01, `${await scale()}`);
  await page.keyboard.press('0');
  for (const [to, work] of [[400, 121], [800, 120]]) {
    await finger('pointerdown', 3, 600, 400);
    await finger('pointermove', 3, to, 405);
    await finger('pointerup', 3, to, 405);
    assert.equal(await page.evaluate(() => window.mosaicd.app.card.id), work);
  }
  await page.mouse.click(500, 300);
  await page.waitForFunction(() => !document.getElementById('large').open, null, { timeout: 5000 });
  await close(page);
});

test('the original is loaded only for a closer look, and one that no browser shows leaves the rendition', async () => {
  const out = createOutput(stage, null);
  const works = grid(12, 8);
  // The link leads to another picture of the folder: the page's icon, and to nothing.
  Object.assign(works[20], { size: 9e6, path: 'icon.png' });
  Object.assign(works[21], { size: 9e6, path: 'gone.png' });
  out.write(works, { large, link: '{path}' });
  const page = await open(out.url);
  await settled(page);
  await click(page, 120);
  await page.click('#card-picture');
  await isHere(page, 'large-original');
  assert.match((await shown(page, 'large-original')).src, /^large/, 'a heavy original is not loaded unasked');
  for (let i = 0; i < 2; i += 1) await page.keyboard.press('+');
  await page.waitForFunction(() => /icon\.png$/.test(document.getElementById('large-original').getAttribute('src')));
  await page.keyboard.press('ArrowRight');
  await isHere(page, 'large-original');
  for (let i = 0; i < 2; i += 1) await page.keyboard.press('+');
  await page.waitForTimeout(500);
  assert.match((await shown(page, 'large-original')).src, /^large/, 'the rendition stays');
  await close(page);
});

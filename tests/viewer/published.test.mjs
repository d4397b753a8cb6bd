// What the real binary publishes, seen by others: the viewer, OpenSeadragon, Chromium's and Pillow's JPEG decoders.
//
//   MOSAICD_BIN=target/release/mosaicd node --test tests/viewer/published.test.mjs   (tests/viewer/run.sh sets it all up)
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createStage, poll, settled } from './stage.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const BINARY = process.env.MOSAICD_BIN || join(HERE, '../../target/release/mosaicd');
const PYTHON = process.env.MOSAICD_PYTHON || '/usr/bin/python3';
const WORKS = 150;
const OSD = join(HERE, 'node_modules/openseadragon/build/openseadragon');
const OSD_PAGE = `<!doctype html><title>OpenSeadragon</title><link rel="icon" href="data:,"><style>html,body,#v{margin:0;width:100%;height:100%}</style>
  <div id="v"></div><script src="/osd/openseadragon.min.js"></script>`;

let stage;
let output;
let base;
let manifest;
const open = (...rest) => stage.open(...rest);
const close = (page) => stage.close(page);

/** Runs the real binary. */
function mosaicd(...args) {
  const run = spawnSync(BINARY, args, { encoding: 'utf8' });
  assert.equal(run.status, 0, `mosaicd ${args[0]} ended with ${run.signal || run.error || run.status}: ${run.stderr}`);
  manifest = JSON.parse(readFileSync(join(output, 'manifest.json'), 'utf8'));
}

before(async () => {
  stage = await createStage({ strict: true, fileOf(path) {
    if (path === '/osd.html') return { body: OSD_PAGE };
    return path.startsWith('/osd/') ? join(OSD, normalize(path.slice(5))) : join(output, normalize(path));
  } });
  ({ base } = stage);
  output = join(stage.root, 'output');
  mosaicd('demo', stage.root, '-n', String(WORKS), '--size', '128');
});
after(() => stage?.end());

/** Makes `decode(url)` in a page: pixels of an image, RGBA. */
const addDecode = (page) => page.evaluate(() => {
  window.decode = async (url) => {
    const bitmap = await createImageBitmap(await (await fetch(url)).blob());
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    return context.getImageData(0, 0, bitmap.width, bitmap.height);
  };
});

test('Chromium and Pillow read the same pixels from mosaic.jpg', async () => {
  const page = await open(`${base}/osd.html`);
  await addDecode(page);
  const { width, height } = manifest.mosaic;
  const points = [];
  for (let i = 0; i < 4000; i += 1) points.push([(i * 7919) % width, (i * 104729) % height]);
  const seen = await page.evaluate(async (points) => {
    const { width, height, data } = await window.decode('mosaic.jpg');
    return { width, height, pixels: points.map(([x, y]) => [...data.slice(4 * (y * width + x), 4 * (y * width + x) + 3)]) };
  }, points);
  const script = 'import sys, json; from PIL import Image; i = Image.open(sys.argv[1]); i.load(); '
    + 'print(json.dumps({"size": i.size, "mode": i.mode, "pixels": [i.getpixel(tuple(p)) for p in json.load(sys.stdin)]}))';
  const pillow = JSON.parse(execFileSync(PYTHON, ['-c', script, join(output, 'mosaic.jpg')], { input: JSON.stringify(points) }));
  assert.deepEqual([seen.width, seen.height], [width, height]);
  assert.deepEqual([pillow.size, pillow.mode], [[width, height], 'RGB']);
  let worst = 0;
  pillow.pixels.forEach((pixel, i) => pixel.forEach((value, c) => { worst = Math.max(worst, Math.abs(value - seen.pixels[i][c])); }));
  assert.ok(worst <= 3, `two libjpeg-turbo of different versions may round differently, not by ${worst}`);
  assert.ok(new Set(seen.pixels.map(String)).size > 1000, 'a picture, not a blank');
  await close(page);
});

test('OpenSeadragon opens mosaic.dzi, finds every tile of every level, and shows the pixels of mosaic.jpg', async () => {
  const page = await open(`${base}/osd.html`);
  await addDecode(page);
  const found = await page.evaluate(async () => {
    const failed = [];
    const viewer = window.viewer = window.OpenSeadragon({ id: 'v', tileSources: '/mosaic.dzi', drawer: 'canvas',
      showNavigationControl: false, immediateRender: true, animationTime: 0, smoothTileEdgesMinZoom: Infinity });
    viewer.addHandler('tile-load-failed', ({ tile }) => failed.push(tile.getUrl()));
    await new Promise((resolve, reject) => {
      viewer.addOnceHandler('open', resolve);
      viewer.addOnceHandler('open-failed', ({ message }) => reject(new Error(message)));
    });
    const image = viewer.world.getItemAt(0);
    const { source } = image;
    const whole = await window.decode('mosaic.jpg');
    let [tiles, compared, differing] = [0, 0, 0];
    for (let level = source.minLevel; level <= source.maxLevel; level += 1) {
      const { x: cols, y: rows } = source.getNumTiles(level);
      for (let row = 0; row < rows; row += 1) {
        for (let col = 0; col < cols; col += 1) {
          const tile = await window.decode(source.getTileUrl(level, col, row));
          tiles += 1;
          const { x: w, y: h } = source.dimensions.times(source.getLevelScale(level));
          const wanted = [Math.min(256, Math.ceil(w) - 256 * col), Math.min(256, Math.ceil(h) - 256 * row)];
          if (tile.width !== wanted[0] || tile.height !== wanted[1]) failed.push(`${level}/${col}_${row} is ${tile.width} × ${tile.height}`);
          if (level < source.maxLevel) continue;
          // Chroma is interpolated across a tile's border in the whole picture only: two pixels there may differ.
          const [left, top] = [256 * col, 256 * row];
          for (let y = 2; y < tile.height - 2; y += 1) {
            for (let x = 2; x < tile.width - 2; x += 1) {
              const [a, b] = [4 * (y * tile.width + x), 4 * ((top + y) * whole.width + left + x)];
              compared += 1;
              differing += tile.data[a] !== whole.data[b] || tile.data[a + 1] !== whole.data[b + 1] || tile.data[a + 2] !== whole.data[b + 2];
            }
          }
        }
      }
    }
    return { failed, tiles, compared, differing, size: [source.dimensions.x, source.dimensions.y], whole: [whole.width, whole.height] };
  });
  assert.deepEqual(found.failed, []);
  assert.deepEqual(found.size, found.whole);
  assert.ok(found.tiles > 60, `${found.tiles} tiles`);
  assert.ok(found.compared > 1e6);
  assert.equal(found.differing, 0, `of ${found.compared} pixels`);

  // What it draws at one image pixel per screen pixel, anywhere in the picture.
  for (const [fx, fy] of [[0.5, 0.5], [0.1, 0.2], [0.93, 0.88]]) {
    const off = await page.evaluate(async ([fx, fy, cell]) => {
      const { viewer, OpenSeadragon } = window;
      const { viewport } = viewer;
      const image = viewer.world.getItemAt(0);
      viewport.zoomTo(viewport.imageToViewportZoom(1), null, true);
      const { x: w, y: h } = image.getContentSize();
      viewport.panTo(image.imageToViewportCoordinates(Math.round(w * fx), Math.round(h * fy)), true);
      const done = () => image.getFullyLoaded() && !image.needsDraw();
      while (!done()) await new Promise((resolve) => { requestAnimationFrame(resolve); });
      await new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); });
      const whole = await window.decode('mosaic.jpg');
      const { canvas } = viewer.drawer;
      const seen = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const corner = image.viewerElementToImageCoordinates(new OpenSeadragon.Point(0, 0));
      // OpenSeadragon draws at halves of a pixel too, which blends neighbours: means of small squares stay the same.
      const side = 16;
      const mean = ({ data, width }, x0, y0, c) => {
        let sum = 0;
        for (let y = y0; y < y0 + side; y += 1) for (let x = x0; x < x0 + side; x += 1) sum += data[4 * (y * width + x) + c];
        return sum / side / side;
      };
      const [left, top] = [Math.round(corner.x), Math.round(corner.y)];
      let [other, count, sum] = [0, 0, 0];
      for (let y = 0; y + side <= canvas.height; y += side) {
        for (let x = 0; x + side <= canvas.width; x += side) {
          if (left + x < 0 || top + y < 0 || left + x + side > whole.width || top + y + side > whole.height) continue;
          for (let c = 0; c < 3; c += 1) {
            const drawn = mean(seen, x, y, c);
            sum += Math.abs(drawn - mean(whole, left + x, top + y, c));
            // What a wrong tile would give: the square one cell over, or back where there is none.
            const over = left + x + cell + side <= whole.width ? left + x + cell : left + x - cell;
            other += Math.abs(drawn - mean(whole, over, top + y, c));
          }
          count += 1;
        }
      }
      return { mean: sum / count / 3, other: other / count / 3, count };
    }, [fx, fy, manifest.mosaic.cell_px]);
    assert.ok(off.count > 500, `${off.count} squares at ${fx}, ${fy}`);
    assert.ok(off.mean < off.other / 8, `drawn off by ${off.mean} at ${fx}, ${fy}; wrong tiles would be by ${off.other}`);
  }
  await close(page);
});

test('the viewer shows the real mosaic, over http and from disk', async () => {
  const eye = await open(`${base}/osd.html`);
  await addDecode(eye);
  for (const url of [`${base}/`, pathToFileURL(join(output, 'index.html')).href]) {
    const page = await open(url);
    await settled(page);
    const [works, state] = await page.evaluate(() => [window.mosaicd.app.model.works.length, document.body.dataset.state]);
    assert.deepEqual([works, state], [WORKS, 'ready']);
    await page.waitForTimeout(300);
    // A page from disk may not read its own canvas, so the screen is looked at.
    const shot = (await page.screenshot({ type: 'png' })).toString('base64');
    const colours = await eye.evaluate(async (shot) => {
      const { data } = await window.decode(`data:image/png;base64,${shot}`);
      const all = new Set();
      for (let i = 0; i < data.length; i += 4 * 97) all.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
      return all.size;
    }, shot);
    assert.ok(colours > 500, `${colours} colours at ${url}`);
    await close(page);
  }
  await close(eye);
});

test('each work is drawn where the manifest says, and its card names it', async () => {
  const page = await open(`${base}/`);
  await settled(page);
  await addDecode(page);
  for (const work of [manifest.works[0], manifest.works[77], manifest.works.at(-1)]) {
    await page.evaluate((id) => window.mosaicd.app.open(id, { fly: true }), work.id);
    await settled(page);
    await page.waitForTimeout(250); // The sharpest tile fades in over 140 ms.
    const off = await page.evaluate(async ({ id, px }) => {
      const { app } = window.mosaicd;
      const work = app.model.works[app.model.byId.get(id)];
      const whole = await window.decode('mosaic.jpg');
      const context = app.canvas.getContext('2d');
      let worst = 0;
      // Means over the middle half of the cell: the same picture, whatever its scale.
      const mean = (data, width, x0, y0, w, h) => {
        const sum = [0, 0, 0];
        for (let y = y0; y < y0 + h; y += 1) for (let x = x0; x < x0 + w; x += 1) for (let c = 0; c < 3; c += 1) sum[c] += data[4 * (y * width + x) + c];
        return sum.map((value) => value / w / h);
      };
      const a = app.camera.toScreen(work.col + 0.25, work.row + 0.25);
      const b = app.camera.toScreen(work.col + 0.75, work.row + 0.75);
      const [w, h] = [Math.round(b.x - a.x), Math.round(b.y - a.y)];
      const seen = mean(context.getImageData(Math.round(a.x), Math.round(a.y), w, h).data, w, 0, 0, w, h);
      const real = mean(whole.data, whole.width, (work.col + 0.25) * px, (work.row + 0.25) * px, px / 2, px / 2);
      for (let c = 0; c < 3; c += 1) worst = Math.max(worst, Math.abs(seen[c] - real[c]));
      return worst;
    }, { id: work.id, px: manifest.mosaic.cell_px });
    assert.ok(off < 4, `${work.path} is off by ${off}`);
    await page.waitForFunction((path) => document.getElementById('card-path').textContent === path, work.path);
    assert.equal(await page.locator('#card-like button').count(), Math.min(8, work.neighbours.length));
  }
  await close(page);
});

test('a page from disk reads the manifest once, not with each poll', async () => {
  const page = await open(pathToFileURL(join(output, 'index.html')).href);
  await settled(page);
  const read = [];
  page.on('request', (request) => read.push(new URL(request.url()).pathname.split('/').pop()));
  await poll(page);
  await poll(page);
  await page.waitForFunction(() => !document.querySelector('script[src^="latest.js"]'));
  assert.ok(read.includes('latest.js') && !read.includes('manifest.js'), read.join());
  await close(page);
});

test('titles, artists and links of artworks.csv are on the card, as text', async () => {
  const [work, other] = manifest.works;
  const hostile = '<img src=x onerror=window.hacked=1> & "Söhne"';
  writeFileSync(join(stage.root, 'artworks', 'artworks.csv'), 'path,title,artist,link\n'
    + `"${work.path}","${hostile.replaceAll('"', '""')}",Ada & Grace,https://example.org/a?b=1&c=2\n`
    + `"${other.path}",Plain,,javascript:window.hacked=1\n`);
  mosaicd('build', '--artworks', join(stage.root, 'artworks'), '--output', output, '--state', join(stage.root, 'state'));
  assert.equal(manifest.works.find(({ id }) => id === work.id).title, hostile);
  const page = await open(`${base}/#work=${work.id}`);
  await page.waitForSelector('#card:not([hidden])');
  await page.waitForFunction((name) => document.getElementById('card-name').textContent === name, hostile);
  assert.equal(await page.textContent('#card-artist'), 'Ada & Grace');
  assert.equal(await page.getAttribute('#card-page', 'href'), 'https://example.org/a?b=1&c=2');
  await page.evaluate((id) => window.mosaicd.app.open(id), other.id);
  await page.waitForFunction(() => document.getElementById('card-name').textContent === 'Plain');
  assert.equal(await page.isVisible('#card-page'), false);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await close(page);
});

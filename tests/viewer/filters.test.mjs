// Filters: how many works are left, how those look that are not, and the colours of a column over the mosaic.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { centreOf, colourOf, createOutput, createStage, grid, near, pixel, settled } from './stage.mjs';

let stage;
before(async () => { stage = await createStage(); });
after(() => stage?.end());

/** Years 1900 to 1907 by column, a technique for every other work. */
const works = () => grid(12, 8).map((work) => ({ ...work,
  fields: { year: String(1900 + (work.id - 100) % 8), ...(work.id % 2 && { technique: work.id % 3 ? 'oil' : 'ink; <b>paper</b>' }) } }));
const chips = (page, where) => page.$$eval(`${where} .chip`, (chips) => chips.map((chip) => chip.textContent));
const column = (page, name) => page.click(`.chip.column:has-text("${name}")`);
/** Waits until nothing is loaded any more and the canvas, after its last fade, stays as it is. */
const rested = async (page) => {
  await settled(page);
  const canvas = () => page.$eval('#mosaic', (element) => element.toDataURL());
  for (let before = await canvas(), same = 0; same < 2;) {
    await page.waitForTimeout(200);
    const now = await canvas();
    same = now === before ? same + 1 : 0;
    before = now;
  }
};
const spread = (rgb) => Math.max(...rgb) - Math.min(...rgb);

test('counts follow the other filters and the search, not their own column', async () => {
  const all = works();
  const page = await stage.open(createOutput(stage, all).url);
  await settled(page);
  await column(page, 'Technique');
  assert.deepEqual(await chips(page, '#facet-values'), ['oil 32', '<b>paper</b> 16', 'ink 16']);
  await page.click('#facet-values .chip >> nth=0');
  assert.deepEqual(await chips(page, '#facet-values'), ['oil 32', '<b>paper</b> 16', 'ink 16'], 'its own column is any of them');
  await column(page, 'Year');
  const oil = (year) => all.filter(({ fields }) => fields.technique === 'oil' && fields.year === String(year)).length;
  const left = Array.from({ length: 8 }, (_, i) => `${1900 + i} ${oil(1900 + i)}`);
  assert.deepEqual(await chips(page, '#facet-values'), left);
  assert.ok(left.some((text) => text.endsWith(' 0')), 'a value that nothing has is there, and says so');
  assert.deepEqual(await chips(page, '#chips').then((list) => list.filter((text) => /spheres|odds/.test(text)).sort()),
    ['evens & odds 32', 'spheres 0']);
  await page.keyboard.press('Escape');
  await page.keyboard.press('/');
  await page.keyboard.type('work-00');
  const named = all.filter(({ path, fields }) => path.includes('work-00') && fields.technique === 'oil').length;
  assert.ok((await chips(page, '#chips')).includes(`evens & odds ${named}`));
  await page.keyboard.press('Escape');
  assert.ok((await chips(page, '#chips')).includes('evens & odds 32'));
  await stage.close(page);
});

for (const colorScheme of ['light', 'dark']) {
  test(`what is filtered out stays in its place, grey, and what is not keeps its colours (${colorScheme})`, async () => {
    const page = await stage.open(`${createOutput(stage, works()).url}#only=year:1903`, { colorScheme });
    await rested(page);
    const at = async (id) => pixel(page, await centreOf(page, id));
    assert.ok(near(await at(103), colourOf(103)));
    const paper = colorScheme === 'light' ? [243, 241, 236] : [19, 18, 17];
    const brightness = [];
    for (const id of [104, 105, 141, 150]) {
      const grey = await at(id);
      assert.ok(spread(grey) <= 8, `${grey} is a grey`);
      assert.ok(!near(grey, paper), `${grey} is not the ground`);
      brightness.push(grey[1]);
    }
    assert.ok(new Set(brightness).size > 1, 'works are still to be told apart');
    await stage.close(page);
  });
}

test('a column colours works by its order, with a legend, from the keyboard and in the address', async () => {
  const out = createOutput(stage, works());
  const page = await stage.open(out.url, { viewport: { width: 640, height: 400 } });
  await rested(page);
  const plain = await pixel(page, await centreOf(page, 104));
  await column(page, 'Year');
  await page.focus('#facet-colours');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => window.location.hash === '#by=year');
  assert.equal(await page.getAttribute('#facet-colours', 'aria-pressed'), 'true');
  assert.match(await page.textContent('.chip.column:has(.scale)'), /^Year\s*1900\s*1907$/);
  assert.equal(await page.locator('#facet-values .swatch').count(), 8);
  await page.click('#facet-close');
  await rested(page);
  const light = async (id) => { const [r, g, b] = await pixel(page, await centreOf(page, id)); return 0.3 * r + 0.59 * g + 0.11 * b; };
  // Pictures shine through a little, so the means of a year's works are compared.
  const means = [];
  for (const year of [0, 4, 7]) {
    const ids = Array.from({ length: 12 }, (_, i) => 100 + year + 8 * i);
    let sum = 0;
    for (const id of ids) sum += await light(id);
    means.push(sum / ids.length);
  }
  assert.ok(means[0] < means[1] && means[1] < means[2], `later is lighter: ${means}`);
  assert.ok(!near(await pixel(page, await centreOf(page, 104)), plain));

  // With a filter only what it leaves is coloured; near by a work is seen, with a bar below.
  const filtered = await stage.open(`${out.url}#view=104,0.5,0.5,3&by=year&only=year:1904&only=year:1907`);
  await rested(filtered);
  assert.ok(near(await pixel(filtered, await centreOf(filtered, 104)), colourOf(104)), 'the work itself');
  const below = (id) => filtered.evaluate((id) => {
    const { app } = window.mosaicd;
    const work = app.workOf(id);
    const at = app.camera.toScreen(work.col + 0.5, work.row + 1);
    return { x: at.x, y: at.y - 7 };
  }, id);
  assert.ok(!near(await pixel(filtered, await below(104)), colourOf(104)), 'a bar');
  assert.ok(spread(await pixel(filtered, await below(105))) <= 8, 'no bar on what is filtered out');
  await stage.close(filtered);

  await page.keyboard.press('Escape');
  await page.waitForFunction(() => window.location.hash === '');
  await rested(page);
  assert.ok(near(await pixel(page, await centreOf(page, 104)), plain));
  assert.equal(await page.locator('.scale').count(), 0);
  await stage.close(page);
});

test('an address with a column or a value that is not there, and filters that leave nothing, do no harm', async () => {
  const out = createOutput(stage, works());
  const page = await stage.open(`${out.url}#by=nothing&only=year:1700&only=nothing:x&only=year:1902`);
  await rested(page);
  assert.equal(await page.evaluate(() => window.mosaicd.app.colouredBy()), null);
  await column(page, 'Technique');
  await page.click('#facet-values .chip >> nth=0');
  await rested(page);
  assert.equal(await page.evaluate(() => document.body.dataset.state), 'ready');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => !window.mosaicd.app.dimmed());
  await stage.close(page);
});

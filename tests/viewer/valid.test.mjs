// The page is valid HTML and CSS for the Nu checker and html-validate, and axe finds nothing in any of its states.
//
// The Nu checker (npm `vnu-jar`) needs Java: without `java` its test is left out and says so.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { click, createOutput, createStage, grid, settled } from './stage.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const VIEWER = join(HERE, '../../src/viewer');
const java = spawnSync('java', ['-version']).status === 0;

let stage;
before(async () => { stage = await createStage(); });
after(() => stage?.end());

test('the Nu checker finds no error', { skip: java ? false : 'no java: the Nu checker is left out' }, () => {
  const jar = join(dirname(require.resolve('vnu-jar/package.json')), 'build/dist/vnu.jar');
  for (const [file, ...options] of [['index.html'], ['viewer.css', '--css']]) {
    const run = spawnSync('java', ['-jar', jar, '--format', 'json', '--stdout', ...options, join(VIEWER, file)], { encoding: 'utf8' });
    const { messages } = JSON.parse(run.stdout);
    const errors = messages.filter(({ type }) => type !== 'info');
    assert.deepEqual(errors, [], file);
  }
});

test('html-validate finds no error', async () => {
  const { HtmlValidate } = await import('html-validate');
  const report = await new HtmlValidate({ root: true, extends: ['html-validate:recommended'] }).validateFile(join(VIEWER, 'index.html'));
  assert.deepEqual(report.results.flatMap(({ messages }) => messages), []);
});

/** Notes in `seen` what axe finds in the page as it is; `state` says what that is. */
async function inspect(page, state, seen) {
  await page.waitForTimeout(450); // Colours that fade are judged when they have arrived.
  const found = await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`));
  seen.set(state, found);
}

test('axe finds nothing in any state, light and dark, wide and narrow', async () => {
  const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
  const works = grid(12, 8).map((work) => ({ ...work, fields: { year: String(1900 + work.id % 9) } }));
  const out = createOutput(stage, works);
  const seen = new Map();
  const sizes = [['desktop', { width: 1200, height: 800 }], ['phone', { width: 390, height: 844 }], ['phone across', { width: 844, height: 390 }]];
  const steps = [
    ['everything', async () => {}],
    ['a card', async (page) => { await page.evaluate(() => window.mosaicd.app.open(120)); }],
    ['the large view', async (page) => { await page.keyboard.press('l'); }],
    ['search', async (page) => { await page.keyboard.press('Escape'); await page.keyboard.press('Escape'); await page.keyboard.press('/'); await page.keyboard.type('work-02'); }],
    ['search for nothing', async (page) => { await page.keyboard.type('zzz'); }],
    ['help', async (page) => { await page.keyboard.press('Escape'); await page.keyboard.press('?'); }],
    ['a filter and a notice', async (page) => { await page.keyboard.press('Escape'); await page.keyboard.press('n'); await page.evaluate(() => window.mosaicd.app.notify('Notice', { label: 'Show', run() {} })); }],
    ['a column', async (page) => { await page.keyboard.press('Escape'); await page.click('.chip.column'); await page.click('#facet-colours'); await page.click('#facet-values .chip'); }],
    ['zoomed in', async (page) => { await page.keyboard.press('Escape'); await page.evaluate(() => { const { app } = window.mosaicd; app.flyTo(app.model.works[50], 200, 1); }); }],
  ];
  for (const colorScheme of ['light', 'dark']) {
    for (const [name, viewport] of sizes) {
      const page = await stage.open(out.url, { viewport, colorScheme, bypassCSP: true, reducedMotion: 'reduce' });
      await settled(page);
      await page.evaluate(axe);
      for (const [state, step] of steps) {
        await step(page);
        await settled(page);
        await inspect(page, `${state}, ${colorScheme}, ${name}`, seen);
      }
      await stage.close(page);
    }
    for (const [state, prepare] of [
      ['nothing published', () => createOutput(stage, null)],
      ['no works', () => { const empty = createOutput(stage, null); empty.write([], { cols: 0, rows: 0 }); return empty; }],
      ['embedded', () => ({ url: `${out.url}?embed` })],
      ['newer', () => { const other = createOutput(stage, null); other.write(works, { change: { schema: 99 } }); return other; }],
    ]) {
      const page = await stage.open(prepare().url, { colorScheme, bypassCSP: true });
      await page.waitForFunction(() => document.body.dataset.state !== 'loading');
      await page.evaluate(axe);
      await inspect(page, `${state}, ${colorScheme}`, seen);
      await stage.close(page);
    }
  }
  assert.deepEqual([...seen].filter(([, found]) => found.length), []);
  assert.ok(seen.size >= 20, `${seen.size} states`);
});

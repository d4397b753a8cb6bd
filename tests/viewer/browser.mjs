// Chromium through playwright-core, both for tests only. `MOSAICD_CHROMIUM` and `MOSAICD_PLAYWRIGHT` say where they are.
import { createRequire } from 'node:module';
import { join } from 'node:path';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--no-first-run'];

function playwright() {
  const place = process.env.MOSAICD_PLAYWRIGHT;
  const require = createRequire(place ? join(place, 'x.js') : import.meta.url);
  return require('playwright-core');
}

/** A headless Chromium. */
export function launch() {
  return playwright().chromium.launch({
    executablePath: process.env.MOSAICD_CHROMIUM || '/usr/bin/chromium', headless: true, args: FLAGS });
}

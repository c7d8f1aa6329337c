// Loaded into Azurite before anything else: its time is what the file named by SCANGUARD_TEST_CLOCK says (milliseconds
// since 1970), plus what passed since it was started. So a test may let an hour pass, for the emulator too.
'use strict';
const { readFileSync } = require('node:fs');
const { performance } = require('node:perf_hooks');
const RealDate = Date;
const path = process.env.SCANGUARD_TEST_CLOCK;
const began = performance.now();

function now() {
  return Math.floor(Number(readFileSync(path, 'utf8')) + (performance.now() - began) / 1000);
}

class MovedDate extends RealDate {
  constructor(...given) {
    if (given.length === 0) super(now());
    else super(...given);
  }
  static now() {
    return now();
  }
}
global.Date = MovedDate;

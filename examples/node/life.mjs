// Conway's Game of Life on a torus, from cells that a seed chooses. Writes the last generation to a file, and appends an
// event for each to the file that EXPREC_EVENTS names, if it does. Needs Node.js and nothing else.

import { appendFileSync, writeFileSync } from "node:fs";
import { devNull } from "node:os";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "12" },
    generations: { type: "string", default: "6" },
    seed: { type: "string", default: "1" },
  },
});
const size = Number(values.size);

// A generator of our own, in 32-bit integers: Math.random takes no seed.
function bits(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 31;
  };
}

function next(cells) {
  const alive = (row, column) => cells[(row + size) % size][(column + size) % size];
  return cells.map((line, row) =>
    line.map((cell, column) => {
      let neighbours = -cell;
      for (const i of [-1, 0, 1]) for (const j of [-1, 0, 1]) neighbours += alive(row + i, column + j);
      return Number(neighbours === 3 || (cell === 1 && neighbours === 2));
    }),
  );
}

function count(cells, isCounted) {
  return cells.flatMap((line, row) => line.filter((cell, column) => isCounted(cell, row, column))).length;
}

function send(eventType, iteration, fields) {
  const line = JSON.stringify({ event_type: eventType, iteration, ...fields }) + "\n";
  appendFileSync(process.env.EXPREC_EVENTS ?? devNull, line);
}

const bit = bits(Number(values.seed));
let cells = Array.from({ length: size }, () => Array.from({ length: size }, bit));
for (let generation = 1; generation <= Number(values.generations); generation++) {
  const before = cells;
  cells = next(cells);
  send("generation", generation, {
    alive: count(cells, (cell) => cell),
    born: count(cells, (cell, row, column) => cell && !before[row][column]),
    died: count(before, (cell, row, column) => cell && !cells[row][column]),
  });
}

const picture = cells.map((line) => line.map((cell) => (cell ? "#" : ".")).join("") + "\n").join("");
writeFileSync("last.txt", picture);
console.log(`${count(cells, (cell) => cell)} cells alive after ${values.generations} generations`);

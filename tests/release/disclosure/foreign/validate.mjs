// Which of CSAF 2.0's strict schema and mandatory tests each document of a directory fails.
//
//     node validate.mjs DIR    ->  {"x.json": ["mandatoryTest_6_1_1"], ...}
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import validate from '@secvisogram/csaf-validator-lib/validate.js'
import * as mandatory from '@secvisogram/csaf-validator-lib/mandatoryTests.js'
import { csaf_2_0_strict } from '@secvisogram/csaf-validator-lib/schemaTests.js'

const tests = [csaf_2_0_strict, ...Object.values(mandatory)]
const directory = process.argv[2]
const said = {}
for (const name of readdirSync(directory)) {
  const document = JSON.parse(readFileSync(join(directory, name), 'utf8'))
  const result = await validate(tests, document)
  said[name] = result.tests.filter((test) => !test.isValid).map((test) => test.name)
}
console.log(JSON.stringify({ tests: tests.map((test) => test.name), said }))

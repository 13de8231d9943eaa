import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJson, stringifyJson } from '../../packages/limn/src/encoding/index.ts'

const leaf = fc.oneof(
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .filter((value) => !Object.is(value, -0) && Math.abs(value) < 1e15),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }),
  fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
)
const { json: jsons } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('json'), { maxKeys: 4, noNullPrototype: true }),
  ),
}))

describe('lossless JSON', () => {
  it('gives back every integer, however large, and everything else as it went', () => {
    fc.assert(
      fc.property(jsons, (value) => {
        expect(parseJson(stringifyJson(value))).toEqual(value)
      }),
      { seed: 3, numRuns: 300 },
    )
  })

  it('makes bigint of integers that a double cannot hold, and of nothing else', () => {
    const text =
      '{"a":9007199254740991,"b":9007199254740992,"c":-9223372036854775808,"d":"9223372036854775807","e":1e300,"f":0.1}'
    expect(parseJson(text)).toEqual({
      a: 9007199254740991,
      b: 9007199254740992n,
      c: -9223372036854775808n,
      d: '9223372036854775807',
      e: 1e300,
      f: 0.1,
    })
  })

  it('writes bigint as digits, not as text', () => {
    expect(stringifyJson({ id: 2n ** 62n, none: undefined, list: [1n] })).toBe('{"id":4611686018427387904,"list":[1]}')
  })

  it('throws a SyntaxError for what is no JSON', () => {
    expect(() => parseJson('{"a":')).toThrow(SyntaxError)
  })
})

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { deliver, silverEvent, smallLake, writeLake } from '../support/small-lake.ts'

const recipes = join(root, 'examples', 'recipes')
const peers = join(root, '.peers')
const read = (name: string) => readFileSync(join(recipes, name), 'utf8')
const run = (file: string, args: readonly string[], options: Parameters<typeof start>[2] = {}) =>
  start(file, args, options).ended

/** Whether a tool is installed. Says so when it is not; throws where peers are required. */
function present(tool: string, evidence: string): boolean {
  if (existsSync(evidence)) return true
  if (process.env.LIMN_REQUIRE_INTEROP === '1')
    throw new Error(`Required here and not installed: ${tool}. Run scripts/install-peers.sh`)
  process.stdout.write(`Not installed: ${tool}; its recipe is not checked. To have it: scripts/install-peers.sh\n`)
  return false
}

/** A lake as the recipes expect it: with limn under its node_modules. */
function installedLake(name: string) {
  const lake = smallLake(name)
  const bin = join(lake.folder, 'node_modules', '.bin')
  mkdirSync(bin, { recursive: true })
  symlinkSync(join(root, 'packages', 'limn', 'bin', 'limn.js'), join(bin, 'limn'))
  return lake
}

/** A check that the small lake's rows do not pass. */
const refusing = silverEvent.replace('build:', "checks: (check) => [check.between('amount', 0, 15)],\n  build:")

describe('the recipe for cron', () => {
  const lines = read('crontab')
    .split('\n')
    .filter((line) => /^[\d*]/.test(line))

  it('has five fields and a command on each line, and no % that cron would take for the end of it', () => {
    expect(lines).toHaveLength(2)
    const field = String.raw`(\*|\d+(-\d+)?)(\/\d+)?`
    for (const line of lines) {
      expect(line).toMatch(new RegExp(`^(${field}\\s+){5}cd "\\$LAKE" && `))
      expect(line).not.toContain('%')
    }
  })

  it('runs the lake with each of its commands, and hands on what went wrong', async () => {
    using lake = installedLake('cron')
    const commandOf = (line: string) => line.replace(/^(\S+\s+){5}/, '')
    // cron runs commands with sh and next to nothing in the environment.
    const options = { env: { LAKE: lake.folder, PATH: process.env.PATH ?? '' } }
    const [due = '', upkeep = ''] = lines.map(commandOf)
    expect(await run('/bin/sh', ['-c', due], options)).toMatchObject({ code: 0, stderr: '' })
    expect(await run('/bin/sh', ['-c', upkeep], options)).toMatchObject({ code: 0 })
    const [first = ''] = readFileSync(join(lake.folder, 'cron.log'), 'utf8').split('\n')
    expect(JSON.parse(first).outcome).toBe('published')
    writeLake(lake.folder, { 'datasets/silver/event.ts': refusing })
    const refused = await run('/bin/sh', ['-c', due], options)
    expect(refused.code).toBe(3)
  })
})

describe.runIf(present('systemd-analyze', '/usr/bin/systemd-analyze'))('the recipe for systemd', () => {
  it('is found right by systemd-analyze', async () => {
    using lake = installedLake('systemd')
    const units = join(lake.folder, 'units')
    mkdirSync(units)
    // The command has to exist where the unit names it.
    const lakes = dirname(lake.folder)
    const instance = lake.folder.slice(lakes.length + 1).replaceAll('-', String.raw`\x2d`)
    for (const name of ['limn-run@.service', 'limn-run@.timer'])
      writeFileSync(join(units, name.replace('@', `@${instance}`)), read(name).replaceAll('/srv/lakes/%i', lake.folder))
    for (const ending of ['service', 'timer']) {
      const { code, stdout, stderr } = await run('systemd-analyze', [
        'verify',
        '--man=no',
        join(units, `limn-run@${instance}.${ending}`),
      ])
      const own = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('limn-run@'))
      expect([ending, code, own]).toEqual([ending, 0, []])
    }
  })
})

const checker = join(peers, 'go', 'recipes')

describe.runIf(present('the checker of manifests', checker))('the recipe for Kubernetes', () => {
  it('has no member that the API does not have', async () => {
    const { code, stdout, stderr } = await run(checker, ['kubernetes', join(recipes, 'kubernetes-cronjob.yaml')])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe('CronJob limn-run-sales "*/10 * * * *"\nPersistentVolumeClaim sales-lake\n')
  })

  it('would be refused with a member that is misspelt', async () => {
    using lake = smallLake('kubernetes')
    const wrong = join(lake.folder, 'wrong.yaml')
    writeFileSync(wrong, read('kubernetes-cronjob.yaml').replace('backoffLimit', 'backOffLimits'))
    expect((await run(checker, ['kubernetes', wrong])).stderr).toContain('unknown field')
  })
})

describe.runIf(present('the checker of Dockerfiles', checker))('the recipe for Docker', () => {
  it('is parsed by BuildKit without a warning, and copies only what a lake has', async () => {
    const { code, stdout, stderr } = await run(checker, ['dockerfile', join(recipes, 'Dockerfile')])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toContain('stage packages from node:26-bookworm-slim')
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    )
    expect([...new Set(copied)].sort()).toEqual(['datasets', 'limn.config.ts', 'package-lock.json', 'package.json'])
  })

  it('would be refused with an instruction that is none', async () => {
    using lake = smallLake('docker')
    const wrong = join(lake.folder, 'Dockerfile')
    writeFileSync(wrong, read('Dockerfile').replace('WORKDIR', 'WORKDIRECTORY'))
    expect((await run(checker, ['dockerfile', wrong])).code).toBe(1)
  })
})

const actionlint = join(peers, 'go', 'actionlint')

describe.runIf(present('actionlint', actionlint))('the recipe for GitHub Actions', () => {
  it('is found right by actionlint', async () => {
    using lake = smallLake('actions')
    const workflow = join(lake.folder, '.github', 'workflows', 'lake.yml')
    writeLake(lake.folder, { '.github/workflows/lake.yml': read('github-actions.yml') })
    writeLake(lake.folder, { '.github/actionlint.yaml': 'self-hosted-runner:\n  labels: [lake]\n' })
    const { code, stdout } = await run(actionlint, [
      '-no-color',
      '-config-file',
      join(lake.folder, '.github', 'actionlint.yaml'),
      workflow,
    ])
    expect([code, stdout]).toEqual([0, ''])
  })

  it('runs a lake that is stale and leaves one alone that is not', async () => {
    using lake = installedLake('actions')
    const script = /run: \|\n((?: {10}.*\n)+)/.exec(read('github-actions.yml'))?.[1]?.replace(/^ {10}/gm, '') ?? ''
    expect(script).toContain('limn plan --exit-code')
    const summary = join(lake.folder, 'summary.md')
    const step = () =>
      run('bash', ['-eo', 'pipefail', '-c', script], {
        cwd: lake.folder,
        env: { ...process.env, GITHUB_STEP_SUMMARY: summary },
      })
    const first = await step()
    expect([first.code, first.stdout]).toEqual([0, expect.stringContaining('Published run')])
    const second = await step()
    expect([second.code, second.stdout]).toEqual([0, 'Nothing is stale.\n'])
    expect(readFileSync(summary, 'utf8')).toContain('bronze.event')
  })
})

const airflow = join(peers, 'airflow', 'bin', 'airflow')

describe.runIf(present('Airflow', airflow))('the recipe for Airflow', () => {
  /** Airflow with a database of its own, on SQLite, in the lake's folder. */
  async function installedAirflow(folder: string) {
    const home = join(folder, 'airflow')
    mkdirSync(join(home, 'dags'), { recursive: true })
    writeFileSync(join(home, 'dags', 'airflow_dag.py'), read('airflow_dag.py'))
    const env = {
      ...process.env,
      PATH: `${join(peers, 'airflow', 'bin')}:${process.env.PATH}`,
      AIRFLOW_HOME: home,
      AIRFLOW__CORE__LOAD_EXAMPLES: 'False',
      AIRFLOW__CORE__UNIT_TEST_MODE: 'False',
      AIRFLOW__LOGGING__LOGGING_LEVEL: 'INFO',
      LIMN_LAKE: folder,
      CI: '',
    }
    const command = (...args: readonly string[]) => run(airflow, args, { env, cwd: folder })
    const migrated = await command('db', 'migrate')
    expect([migrated.code, migrated.code === 0 ? '' : migrated.stderr]).toEqual([0, ''])
    return command
  }
  const states = (text: string) =>
    [...text.matchAll(/\b(plan|run|report)\b[^\n]*\b(success|skipped|failed|up_for_retry)\b/g)].map(
      ([, task, state]) => `${task} ${state}`,
    )

  it('is parsed by Airflow, runs the lake, skips when nothing is stale, and fails for good when a gate refuses', async () => {
    using lake = installedLake('airflow')
    const command = await installedAirflow(lake.folder)
    const errors = await command('dags', 'list-import-errors', '--output', 'json')
    expect([errors.code, errors.stdout.includes('airflow_dag')]).toEqual([0, false])

    const first = await command('dags', 'test', 'limn_lake', '2026-01-01')
    expect([first.code, `${first.stdout}${first.stderr}`]).toEqual([
      0,
      expect.stringMatching(/published 2\d{7}T\d{6}-/),
    ])
    const second = await command('dags', 'test', 'limn_lake', '2026-01-02')
    expect(`${second.stdout}${second.stderr}`).toContain('Nothing is stale.')
    deliver(lake.folder, 'b', [['4', '2026-01-04 08:00:00', '40']])
    writeLake(lake.folder, { 'datasets/silver/event.ts': refusing })
    const third = await command('dags', 'test', 'limn_lake', '2026-01-03')
    const said = `${third.stdout}${third.stderr}`
    expect(said).toMatch(/AirflowFailException|refused/)
    expect(states(said)).not.toContain('run success')
  })
})

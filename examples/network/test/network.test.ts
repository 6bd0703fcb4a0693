import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AtpAgent } from '@atproto/api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  runDemonstration,
  startNetwork,
  type DemonstrationResult,
  type Network,
} from '../src/index.ts'

const main = join(import.meta.dirname, '..', 'src', 'main.ts')

describe('startNetwork', () => {
  let network: Network
  let result: DemonstrationResult

  beforeAll(async () => {
    network = await startNetwork({ pds: 2 })
    result = await runDemonstration({ pds: network.pds, latencySamples: 10 })
  })
  afterAll(async () => {
    await network?.[Symbol.asyncDispose]()
  })

  it('plays the whole demonstration with a client written elsewhere', () => {
    const failed = result.steps.filter((step) => step.error !== undefined)
    expect(
      failed.map((step) => `${step.title}: ${String(step.error)} ${String(step.error?.cause)}`),
    ).toEqual([])
    expect(result.ok).toBe(true)
    expect(result.steps.length).toBeGreaterThanOrEqual(13)
    expect(result.latency?.samples).toBe(10)
  })

  it('lists both hosts and both accounts at the relay', async () => {
    const { relay } = network.clients
    const { data: hosts } = await relay.com.atproto.sync.listHosts({})
    expect(hosts.hosts.map((host) => host.status)).toEqual(['active', 'active'])
    const { data: repos } = await relay.com.atproto.sync.listRepos({})
    expect(repos.repos.map((repo) => repo.did).sort()).toEqual(
      result.logins.map((login) => login.did).sort(),
    )
  })

  it('shows an account created late, without a restart', async () => {
    const [, second] = network.pds
    const agent = network.clients.pds[1]!
    await agent.createAccount({
      handle: `late.${second!.handleDomain}`,
      email: 'late@example.com',
      password: 'a-late-password',
    })
    await agent.post({ text: 'better late than never' })
    await expect
      .poll(async () => (await agent.getAuthorFeed({ actor: agent.assertDid })).data.feed.length, {
        timeout: 10_000,
      })
      .toBe(1)
  })
})

describe('a network whose data is kept', () => {
  it('comes back at the same URLs with everything in it, and plays on', async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'skywright-network-'))
    try {
      const first = await startNetwork({ dataDirectory })
      const before = await runDemonstration({ pds: first.pds, latencySamples: 1 })
      expect(before.ok).toBe(true)
      await first[Symbol.asyncDispose]()

      await using second = await startNetwork({ dataDirectory })
      expect(second.pds).toEqual(first.pds)
      expect(second.appView.url).toBe(first.appView.url)
      expect(second.statusphere.url).toBe(first.statusphere.url)
      const login = before.logins[0]!
      const agent = new AtpAgent({ service: login.service })
      await agent.login({ identifier: login.handle, password: login.password })
      const { data } = await agent.getPosts({ uris: [before.post!.uri] })
      expect(data.posts[0]).toMatchObject({ likeCount: 1, replyCount: 1, repostCount: 1 })

      const after = await runDemonstration({ pds: second.pds, latencySamples: 1 })
      expect(after.steps.filter((step) => step.error !== undefined)).toEqual([])
      expect(after.ok).toBe(true)
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true })
    }
  })
})

describe('npm start', () => {
  it('with --exit plays the demonstration and leaves nothing behind', async () => {
    const { code, output } = await runMain(['--exit'])
    expect(output).toContain('commit-to-visible')
    expect(code).toBe(0)
    const folder = /^ {2}data +(.+)$/m.exec(output)?.[1]
    expect(folder).toBeDefined()
    expect(existsSync(folder!)).toBe(false)
  })

  it('stays up until SIGINT, then stops cleanly', async () => {
    const { code, output } = await runMain([], (text, child) => {
      if (text.includes('Stays up until Ctrl-C')) child.kill('SIGINT')
    })
    expect(code).toBe(0)
    expect(output).toContain('password')
  })

  it('refuses an unknown option', async () => {
    const { code, output } = await runMain(['--frobnicate'])
    expect(code).not.toBe(0)
    expect(output).toContain('--frobnicate')
  })
})

async function runMain(
  args: readonly string[],
  onOutput: (text: string, child: ReturnType<typeof spawn>) => void = () => {},
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--conditions=@skywright/source', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      onOutput(output, child)
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

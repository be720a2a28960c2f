/**
 * Reads a relay's stream over lost networks; tells it what was seen when.
 * @typedef {{kind: string, t: number, text?: string, i?: number, [name: string]: any}} Piece
 */
const now = () => performance.now() / 1000
const fail = (name, message, retryable, status) => Object.assign(Error(message), { name, retryable, status })

/**
 * `base`: of the relay's routes; `patience`: seconds until giving up
 * @param {string | URL | Request} url @param {RequestInit & {base?: string, patience?: number}} [options]
 * @returns {AsyncIterableIterator<Piece> & {id: string, stop: () => Promise<boolean>}}
 */
export function stream(url, { base = import.meta.url.replace(/[^/]*$/, ""), patience = 60, signal, ...init } = {}) {
	const { headers, credentials } = init, more = { headers, credentials }
	const own = new AbortController(), over = AbortSignal.any([own.signal, signal ?? own.signal])
	const at = rest => base + encodeURIComponent(id) + rest
	let id = "", after = 0, i = 0, heard = now(), pause = 250, out, spy, last, fault, tell
	const named = new Promise(go => tell = go)

	async function take(sent, { status, headers, body }) {
		if (status === 204 && !id) return true
		if (status !== 200 || !/^text.event/.test(headers.get("content-type")))
			throw fail(status === 204 ? "StreamGone" : "HTTPError", "The server said " + status, status > 428, status)
		tell(id = headers.get("x-stream-id") ?? id)
		const clock = headers.get("x-stream-clock")?.split(" "), reader = body.pipeThrough(new TextDecoderStream()).getReader()
		if (clock && globalThis.document) (spy ??= watch(at("/seen"), more, sent)).pair(sent, clock)
		for (let text = ""; ; ) {
			const { done, value } = await reader.read()
			if (done) return
			heard = now()
			const parts = (text + value).split("\n\n")
			text = parts.pop()
			for (const part of parts) {
				const [, n, data] = /^id: (\d+)\ndata: (.*)/.exec(part) ?? []
				if (!(+n > after)) continue
				const frame = JSON.parse(data)
				after = +n
				pause = 250
				i = frame.i ?? i
				for (const item of frame.items) {
					item.t = frame.t
					if (item.kind === "text") item.i = i++
					spy?.hear(item, heard)
					if (item.kind === "error") fault = fail(item.error, item.message, item.retryable)
					else out.enqueue(item)
					if (/^(complete|cancelled|error)$/.test(item.kind)) return true
				}
			}
		}
	}

	async function pump() {
		for (let to = url, how = init; ; pause = Math.min(pause * 2, 8e3)) {
			try {
				if (await take(now(), await fetch(to, { ...how, signal: over }))) break
			} catch (error) {
				if (over.aborted) return out.error(over.reason)
				fault = "retryable" in error ? error : fail("ConnectionLost", "The connection was lost", true)
				if (!fault.retryable || (!id && !/^get$/i.test(init.method ?? url["method"] ?? "get")) || now() - heard > patience) break
				fault = null
			}
			if (id) [to, how] = [at("?after=" + after), more]
			await new Promise(go => {
				setTimeout(go, pause * (.5 + Math.random()))
				globalThis.addEventListener?.("online", go, { signal: over })
			})
		}
		over.aborted || out.close()
	}

	const queue = new ReadableStream({ start: c => void (out = c) }).getReader()
	over.onabort = () => (out.error(over.reason), tell(), spy?.end())
	pump()
	return {
		get id() { return id },
		stop: async () => (await named, !!id && (await (await fetch(at("/stop"), { ...more, method: "POST" })).json()).stopped),
		async next() {
			spy?.shown(last) // who asks for more has shown the last
			const step = await queue.read()
			last = step.value
			if (step.done && (own.abort(), fault)) throw fault
			return step
		},
		return: async () => (spy?.shown(last), over.aborted || queue.cancel(), own.abort(), { done: true, value: null }),
		[Symbol.asyncIterator]() { return this },
	}
}

/** Times are the page's until sent; the server's clock is ahead by `low` to `high`. */
function watch(url, init, asked) {
	const r = Math.random().toString(36), own = new AbortController(), rows = []
	let low = -Infinity, high = Infinity, step, due = []
	const pair = (sent, [came, went]) => {
		const from = went - now(), to = came - sent, better = to < high // clocks drift
		;[low, high] = from > high || to < low ? [from, to] : [Math.max(low, from), Math.min(high, to)]
		if (better) send()
	}
	const send = all => {
		const [first] = rows, loose = high - low > .01, sent = now()
		const clock = time => time && +(time + (low + high) / 2 - first.step.at).toFixed(4)
		const stop = rows.findIndex(({ step, p, hidden }, n) => n > 999 || step !== first.step || !(all || p || hidden))
		const told = rows.splice(0, stop < 0 ? 1e3 : stop), n = told.length
		if (!n && (all || !loose)) return
		const body = JSON.stringify(n ? {
			r, s: first.step.id, i: [first.item.i, told[n - 1].item.i], hidden: first.hidden, bound: (high - low) / 2,
			asked: clock(asked), arrived: told.map(({ t }) => clock(t)), painted: told.map(({ p }) => clock(p)),
		} : {})
		if (init.headers || (loose && !all) || !navigator.sendBeacon(url, body))
			fetch(url, { ...init, method: "POST", body, keepalive: all > 1 })
				.then(reply => reply.json()).then(said => pair(sent, said.clock)).catch(() => 0)
		if (n) send(all)
	}
	const timer = setInterval(send, 5e3)
	addEventListener("pagehide", () => send(2), own)
	document.addEventListener("visibilitychange", () => {
		send()
		for (const row of rows) row.hidden = true
		send(2)
	}, own)
	return {
		pair,
		hear(item, t) {
			if (item.kind === "start") step = item
			if (!step) return
			low = Math.max(low, step.at + item.t - t) // nothing arrives before it was said
			high = Math.max(high, low)
			if (item.kind === "text") rows.push({ step, item, t, hidden: document.hidden })
		},
		shown(item) {
			if (due.push(item) < 2) requestAnimationFrame(() => {
				const shown = new Set(due.splice(0))
				setTimeout(() => rows.map(row => shown.has(row.item) && (row.p = now())))
			})
		},
		end() {
			clearInterval(timer)
			setTimeout(() => (send(1), own.abort()), 300)
		},
	}
}

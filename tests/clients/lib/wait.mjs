// Every wait of these tests has a deadline and says what it waited for.

export const SOON = 10_000;

/** Rejects when `promise` is not settled in time. */
export function within(promise, what, ms = SOON) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Asks again and again until `probe` gives something truthy, and gives that. */
export async function until(probe, what, ms = SOON) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() >= end) throw new Error(`waited ${ms} ms for ${what}`);
    await pause(20);
  }
}

/** For polling and for doing what a server told us to wait for; never to hope for the best. */
export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Gives the next `name` of an emitter whose arguments please. Listens from the call on. */
export function event(emitter, name, pleases = () => true, ms = SOON) {
  let listener;
  const came = new Promise((resolve) => {
    listener = (...args) => {
      if (pleases(...args)) resolve(args[0]);
    };
    emitter.on(name, listener);
  });
  return within(came, `event ${name}`, ms).finally(() => emitter.off(name, listener));
}

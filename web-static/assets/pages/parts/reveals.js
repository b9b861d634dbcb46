// @ts-check
/** What was opened of a listing and what is left, as plots. */
import { count, h, plural, real } from '../../lib/dom.js';
import { meter } from '../../lib/plot.js';

/** @param {string | number} text */
const n = (text) => Number(text);

/**
 * The quota of values: opened, bound by orders under way, left.
 * @param {{values: string, valuesLeft: string} | null | undefined} reveals
 * @param {any} policy the signed policy
 * @param {string} [title]
 */
export function quotaMeter(reveals, policy, title = 'Values revealed') {
  if (!reveals) return h('p', { class: 'quiet' }, 'Nothing can be revealed before a policy is signed.');
  const quota = policy?.body ? n(policy.body.quota_values) : n(reveals.values) + n(reveals.valuesLeft);
  const bound = Math.max(0, quota - n(reveals.values) - n(reveals.valuesLeft));
  return meter({
    title, whole: quota, rest: 'left',
    parts: [
      { label: 'opened', value: n(reveals.values), text: count(reveals.values) },
      ...(bound > 0 ? [{ label: 'bound by orders under way', value: bound, text: count(bound) }] : []),
    ],
    format: (x) => count(Math.round(x)),
  });
}

/** @typedef {{name: string, offered: boolean, dealt: string, spent: string, left: string, law: string, rhoPerTicket: number}} TicketClass */

/**
 * Tickets by class, and the privacy that they may cost.
 * @param {{classes: TicketClass[], rhoLimit: number, rhoDealt: number, epsilonDealt: number, delta: number} | null} tickets
 */
export function ticketMeters(tickets) {
  if (!tickets) return null;
  const noisy = tickets.classes.some((c) => c.rhoPerTicket > 0);
  return h('div', { class: 'stack' },
    tickets.classes.filter((c) => c.offered).map((c) => {
      const away = Math.max(0, n(c.dealt) - n(c.spent) - n(c.left));
      return meter({
        title: `Opening tickets, class “${c.name}”`, whole: n(c.dealt), rest: 'left',
        parts: [{ label: 'spent', value: n(c.spent), text: count(c.spent) }, ...(away > 0 ? [{ label: 'not accepted yet, or destroyed', value: away, text: count(away) }] : [])],
        format: (x) => count(Math.round(x)),
      });
    }),
    noisy ? meter({
      title: 'Privacy budget (zCDP)', whole: tickets.rhoLimit, rest: 'not dealt',
      parts: [{ label: 'dealt', value: tickets.rhoDealt, text: real(tickets.rhoDealt, 3) }],
      desc: `${real(tickets.rhoDealt, 3)} of ${real(tickets.rhoLimit, 3)} rho is dealt: epsilon ${real(tickets.epsilonDealt, 3)} at delta ${tickets.delta}.`,
      format: (x) => real(x, 3),
    }) : h('p', { class: 'small quiet' }, `No class has noise: results are exact, and quota and cohort bound what is learnt. ${plural(tickets.classes.filter((c) => c.offered).length, 'class', 'classes')} offered.`));
}

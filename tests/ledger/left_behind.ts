import { api } from "./api.ts";

interface StreamState {
  state: { messages: number; subjects?: Record<string, number> };
}

interface ConsumerState {
  name: string;
  config: { filter_subject: string };
  num_pending: number;
  num_ack_pending: number;
}

/** What the server still keeps of a queue's jobs, one line each; empty: nothing. Messages that belong to no consumer are named as such. */
export async function leftBehind(servers: string[], queue: string): Promise<string[]> {
  const { state } = await api<StreamState>(servers, `STREAM.INFO.WQ_${queue}`, { subjects_filter: ">" });
  const { consumers } = await api<{ consumers: ConsumerState[] }>(servers, `CONSUMER.LIST.WQ_${queue}`);
  return leftIn(Object.keys(state.subjects ?? {}), consumers);
}

/** What a stream with these subjects and consumers keeps. */
export function leftIn(subjects: string[], consumers: ConsumerState[]): string[] {
  const left = subjects.map((subject) => `${subject} is left in the stream`);
  for (const { name, config, num_pending, num_ack_pending } of consumers) {
    if (num_pending > 0) left.push(`Consumer ${name} has ${num_pending} pending`);
    if (num_ack_pending > 0) left.push(`Consumer ${name} has ${num_ack_pending} unacknowledged`);
    const prefix = config.filter_subject.slice(0, -1);
    const stray = subjects.filter((subject) => subject.startsWith(prefix)).length - num_pending - num_ack_pending;
    if (stray > 0) left.push(`${stray} messages of consumer ${name} belong to nobody`);
  }
  return left;
}

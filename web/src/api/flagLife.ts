/** The calls about a flag's life: opt-in, contingency, groups, places in the source, history. */
import { client, unwrap } from "./client";
import type { components } from "./schema";

const { GET, POST, PUT, DELETE } = client;
type Schemas = components["schemas"];

export type MyFlag = Schemas["MyFlag"];
export type FlagGroup = Schemas["FlagGroup"];
export type Place = Schemas["FlagPlace"];
export type HistoryItem = Schemas["FlagHistoryItem"];

const of = (key: string) => ({ params: { path: { key } } });

export const flagLife = {
  mine: () => unwrap(GET("/api/flags/mine")),
  choose: (key: string, choice: "in" | "out" | null) => unwrap(POST("/api/flags/{key}/mine", { ...of(key), body: { choice } })),
  contingency: () => unwrap(GET("/api/flags/contingency")),
  drill: (key: string, environment: string, for_ms: number) => unwrap(POST("/api/flags/{key}/drill", { ...of(key), body: { environment, for_ms } })),
  cancelDrill: (key: string, environment: string) => unwrap(DELETE("/api/flags/{key}/drill", { params: { path: { key }, query: { environment } } })),
  stale: () => unwrap(GET("/api/flags/stale")),
  places: (key: string) => unwrap(GET("/api/flags/{key}/places", of(key))),
  groups: () => unwrap(GET("/api/flags/groups")),
  putGroup: (name: string, body: { description: string; field: string; members: string[] }) =>
    unwrap(PUT("/api/flags/groups/{name}", { params: { path: { name } }, body })),
  deleteGroup: (name: string) => unwrap(DELETE("/api/flags/groups/{name}", { params: { path: { name } } })),
  history: (key: string, limit: number) => unwrap(GET("/api/flags/{key}/history", { params: { path: { key }, query: { limit } } })),
  revert: (key: string, seq: number, to: "before" | "after") => unwrap(POST("/api/flags/{key}/revert", { ...of(key), body: { seq, to } })),
};

/** The page of a service. One whose name is a number has none: that is a deploy's address. */
export const servicePath = (name: string): string => `/deploys/${encodeURIComponent(name)}`;

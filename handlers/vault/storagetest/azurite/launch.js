// Runs Azurite (its script and flags follow on the command line) for as long as standard input stays open, so that it
// never outlives the process that started it, however that one ends.
const once = process.once;
process.once = function (event, listener) {
  // Ctrl-C reaches every process of a terminal; when Azurite ends is its starter's decision.
  return event === "SIGINT" ? process : once.call(process, event, listener);
};
process.on("SIGINT", () => {});
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});
process.stdin.on("error", () => {});
process.stdin.on("close", () => {
  // SIGTERM makes Azurite write what it holds in memory and close; before it listens nobody waits for the signal.
  if (!process.emit("SIGTERM")) process.exit(0);
  setTimeout(() => process.exit(1), 20000).unref();
});
process.stdin.resume();
require(process.argv[1]);

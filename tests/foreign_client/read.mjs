// tuf-js reads a vendor's repository: node read.mjs BASE ROOT DIRECTORY TARGET...
//
// Refreshes from the root of trust in the file ROOT, then downloads each TARGET into DIRECTORY.
// Prints one JSON value: the versions that it verified and, for each target, the file; or the
// error's class and message, with exit status 1.
import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import tuf from "tuf-js";

const [base, root, directory, ...targets] = process.argv.slice(2);
const metadataDir = join(directory, "metadata");
const targetDir = join(directory, "targets");
mkdirSync(metadataDir, { recursive: true });
mkdirSync(targetDir, { recursive: true });
copyFileSync(root, join(metadataDir, "root.json"));

try {
  const updater = new tuf.Updater({
    metadataDir,
    metadataBaseUrl: `${base}/metadata`,
    targetDir,
    targetBaseUrl: `${base}/targets`,
    config: { fetchRetries: 0, fetchTimeout: 20000 },
  });
  await updater.refresh();
  const files = {};
  for (const [index, target] of targets.entries()) {
    const info = await updater.getTargetInfo(target);
    files[target] = info ? await updater.downloadTarget(info, join(targetDir, `${index}`)) : null;
  }
  const set = updater.trustedSet; // what it believes is in no public place
  const roles = ["root", "timestamp", "snapshot", "targets"];
  const versions = Object.fromEntries(roles.map((role) => [role, set[role].signed.version]));
  console.log(JSON.stringify({ versions, files }));
} catch (error) {
  console.log(JSON.stringify({ error: error.constructor.name, message: error.message }));
  process.exitCode = 1;
}

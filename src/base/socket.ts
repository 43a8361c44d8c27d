import { once } from "node:events";
import { connect } from "node:net";

/** True where somebody listens on a Unix socket; a file may be left of one that nobody serves. */
export async function isServed(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

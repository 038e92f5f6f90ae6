// The camera: one picture after the other, as fast as they are answered.

/**
 * Takes pictures with the camera, until it is stopped or something fails.
 *
 * @param {HTMLVideoElement} video
 * @param {AbortSignal} signal Stops the camera, also one that is still asked for.
 * @param {function(HTMLVideoElement): Promise} answer Called with each picture.
 * @throws {Error} If there is no camera, the page may not use it, or an answer fails.
 */
export async function startCamera(video, signal, answer) {
  if (!navigator.mediaDevices)
    throw new Error("Browsers give cameras only to pages on https or on this machine.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    if (signal.aborted) return;
    throw new Error(`There is no picture from the camera: ${error.message}`);
  }
  const stop = () => {
    for (const track of stream.getTracks()) track.stop();
    if (video.srcObject === stream) video.srcObject = null;
  };
  if (signal.aborted) return stop();
  let next = () => {};
  signal.addEventListener("abort", () => {
    stop();
    next(); // no frame will come
  });
  try {
    video.srcObject = stream;
    await video.play();
    while (!signal.aborted) {
      await new Promise((shown) => video.requestVideoFrameCallback((next = shown)));
      if (!signal.aborted) await answer(video);
    }
  } catch (error) {
    stop();
    if (!signal.aborted) throw error;
  }
}

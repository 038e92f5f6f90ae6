// The camera: one picture after the other, as fast as they are answered.

/**
 * @param {HTMLVideoElement} video
 * @param {function(HTMLVideoElement): Promise} answer Called with each picture.
 * @returns {Promise<function()>} What stops the camera.
 * @throws {Error} If there is no camera, or the page may not use it.
 */
export async function startCamera(video, answer) {
  if (!navigator.mediaDevices)
    throw new Error("Browsers give cameras only to pages on https or on this machine.");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    throw new Error(`There is no picture from the camera: ${error.message}`);
  }
  video.srcObject = stream;
  await video.play();
  let running = true;
  (async () => {
    while (running) {
      await new Promise((shown) => video.requestVideoFrameCallback(shown));
      if (running) await answer(video);
    }
  })();
  return () => {
    running = false;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
}

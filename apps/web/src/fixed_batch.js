// Exported files take any number of examples, and LiteRT.js only runs files whose sizes are fixed.

// Numbers of the fields in the tables of the LiteRT schema (schema.fbs).
const MODEL_SUBGRAPHS = 2;
const SUBGRAPH_TENSORS = 0;
const TENSOR_SHAPE_SIGNATURE = 7;

/**
 * Makes a `.tflite` file one for a batch of one example, in place.
 *
 * The sizes that may vary are -1 in the `shape_signature` of a tensor; its `shape` says 1 already.
 * Only these numbers are overwritten: the file keeps its length and its layout.
 *
 * @param {ArrayBuffer} file
 */
export function fixBatch(file) {
  const view = new DataView(file);
  const follow = (at) => at + view.getUint32(at, true);

  /** Where a field of a table lies; 0 if the table lacks it. */
  function field(table, number) {
    const layout = table - view.getInt32(table, true);
    const entry = 4 + 2 * number;
    const offset = entry < view.getUint16(layout, true) ? view.getUint16(layout + entry, true) : 0;
    return offset && table + offset;
  }

  /** Where the elements of a vector of 4-byte elements lie. */
  function elements(table, number) {
    const at = field(table, number);
    if (!at) return [];
    const vector = follow(at);
    return Array.from({ length: view.getUint32(vector, true) }, (_, i) => vector + 4 + 4 * i);
  }

  for (const graph of elements(follow(0), MODEL_SUBGRAPHS).map(follow))
    for (const tensor of elements(graph, SUBGRAPH_TENSORS).map(follow))
      for (const size of elements(tensor, TENSOR_SHAPE_SIGNATURE))
        if (view.getInt32(size, true) === -1) view.setInt32(size, 1, true);
}

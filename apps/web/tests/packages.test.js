// Which packages are built into the page, and where they lie there.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { packageFiles } from "../packages.js";

describe("packages of a folder", () => {
  let root;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), "vislearn-packages-"))));
  afterEach(() => rmSync(root, { recursive: true }));

  /** Makes a package, with `model.json` and `model.tflite` unless other files are named. */
  function make(folder, files = ["model.json", "model.tflite"]) {
    mkdirSync(join(root, folder), { recursive: true });
    for (const file of files) writeFileSync(join(root, folder, file), folder);
  }

  const index = (files) => JSON.parse(files["packages/index.json"]());

  it("lie at any depth", () => {
    make("vae");
    make("vae/decoder");
    make("old/digits", ["model.json", "model.tflite", "model_int8.tflite", "model.onnx"]);
    make("flow", ["model.json", "model.onnx"]);
    const files = packageFiles(root);
    assert.deepEqual(index(files), ["old/digits", "vae", "vae/decoder"]);
    assert.equal(Object.keys(files).length, 8);
    assert.equal(files["packages/old/digits/model_int8.tflite"]().toString(), "old/digits");
  });

  it("are whole ones", () => {
    make(".digits.1a2b3c.new");
    make("digits/.old");
    make("notes", ["my-model.json", "model.tflite"]);
    assert.deepEqual(index(packageFiles(root)), []);
  });

  it("lie where every server finds them", () => {
    make("50% #1/\u00fc");
    const files = packageFiles(root);
    assert.deepEqual(index(files), ["50% #1/\u00fc"]);
    assert.ok("packages/50%25%20%231/%C3%BC/model.json" in files);
  });

  it("may be a single one", () => {
    make(".");
    make("decoder");
    const name = basename(root);
    const files = packageFiles(root);
    assert.deepEqual(index(files), [name, `${name}/decoder`]);
    assert.ok(`packages/${name}/model.json` in files);
  });

  it("may be none", () => {
    assert.deepEqual(index(packageFiles(join(root, "missing"))), []);
  });
});

"""The log as its auditors meet it: keys, exports, proofs, verification."""

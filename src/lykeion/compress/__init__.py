"""Networks made smaller: pruning, dense-sparse-dense, clustering, quantization, distillation; one file a method."""

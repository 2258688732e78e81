"""What a training child keeps of its run beside the model: checkpoints, log, curves, use of the machine."""

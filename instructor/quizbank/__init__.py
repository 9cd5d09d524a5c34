"""The quiz: one bank (`quiz/bank.yaml`), answers that come from the code, a group's own variant, exports."""

"""PyTorch's side of `make bench-train`: the same model, sizes and steps. Prints `what threads windows/s` lines."""

import time

import torch

METRICS, HIDDEN, WINDOW, STEPS, BATCH, BATCHES, ROUNDS = 4, 64, 80, 64, 256, 8, 3


class Forecaster(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(METRICS, HIDDEN, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(HIDDEN, METRICS)

    def forward(self, x, steps):
        return self.head(self.lstm(x)[0][:, -steps:])


def fastest(run):
    run()  # warm
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return BATCH * BATCHES / min(times)


def main():
    print(f"PyTorch {torch.__version__}")
    x = torch.randn(BATCHES, BATCH, WINDOW, METRICS)
    y = torch.randn(BATCHES, BATCH, STEPS, METRICS)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        model = Forecaster()
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
        loss = torch.nn.HuberLoss()

        def train():
            for batch in range(BATCHES):
                optimiser.zero_grad()
                loss(model(x[batch], STEPS), y[batch]).backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()

        def score():
            with torch.no_grad():
                for batch in range(BATCHES):
                    model(x[batch], 1)

        print("training", threads, fastest(train))
        print("scoring", threads, fastest(score))


if __name__ == "__main__":
    main()

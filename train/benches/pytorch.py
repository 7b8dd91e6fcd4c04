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
    if torch.cuda.is_available():
        graphics()


def graphics():
    """Training on the card by batch size, the data there already, products in PyTorch's default precision (TF32 in cuDNN's LSTM)."""
    print(f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")
    card = torch.device("cuda")
    for batch in (64, 256, 1024, 4096, 16384):
        torch.manual_seed(1)
        model = Forecaster().to(card)
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
        loss = torch.nn.HuberLoss()
        x = torch.randn(BATCHES, batch, WINDOW, METRICS, device=card)
        y = torch.randn(BATCHES, batch, STEPS, METRICS, device=card)

        def train():
            for k in range(BATCHES):
                optimiser.zero_grad()
                value = loss(model(x[k], STEPS), y[k])
                value.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                value.item()  # as osd does, which tells the loss

        print("gpu", batch, fastest(train) * batch / BATCH)


if __name__ == "__main__":
    main()

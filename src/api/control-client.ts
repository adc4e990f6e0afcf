/** The control API of one agent, as its users see it; `src/host` implements it over a socket. */
import type { EventOf, OperationName, RequestOf, ResponseOf } from './control.ts';

/** Operations of one agent. Errors are what the agent said, or `AgentUnreachable`. */
export interface ControlClient {
  readonly cluster: string;
  call<N extends OperationName>(name: N, request: RequestOf<N>): Promise<ResponseOf<N>>;
  stream<N extends OperationName>(
    name: N,
    request: RequestOf<N>,
    watch: { readonly onEvent: (event: EventOf<N>) => void; readonly signal?: AbortSignal },
  ): Promise<ResponseOf<N>>;
}

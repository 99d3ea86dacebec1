(** * Asynchronous best response: late, dropped and repeated messages

    Label T6.

    _What is here._  The iteration [mu_i := c_i + sum_j B_ij mu_j] run without a
    common clock: in each round any set of agents updates, and an updating agent
    [i] uses for each [j] the value of some round [seen i j t <= t], so the
    message from [j] is [t - seen i j t] rounds old.  Values live in any space
    [V] with a norm [N]; the scalars form any ordered field.  The weights enter
    only through [B >= 0] and [B v <= q v] for some [v > 0] and [0 <= q <= 1]; a
    slack [B v <= v - e] gives [q = 1 - e / max v] ([slack_factor]).  The error is

      [error t = max_i N (mu_i(t) - mu*_i) / v_i].

    _What it proves._
    - Delays of at most [tau] rounds and at least one update per agent in every
      [s] consecutive rounds: [window t], the largest error of the rounds
      [t - tau .. t], never grows ([window_nonincreasing]) and shrinks by the
      factor [q] every [s + tau] rounds ([window_shrinks]); hence
      [error t <= q^k error 0] from round [k (s + tau) - tau] on
      ([bounded_delay_rate]).
    - No bound on delays or idle times: if nobody stops for ever and every
      message is eventually superseded, the error ends below [q^k error 0] for
      every [k] ([totally_asynchronous]), and tends to zero over an archimedean
      field if [q < 1] ([asynchronous_converges], [bounded_delay_converges]).
    - The game: for anchored weights [v = (1 - B)^-1 1] and [q = 1 - 1 / max v]
      will do ([asynchronous_play], [asynchronous_play_converges]).

    _What may be imported._  [averaging], [mixture] and the algebra of MathComp.
    No axioms. *)

From mathcomp Require Import all_ssreflect all_algebra.
From ExpfamGame Require Import averaging mixture.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(** ** The factor *)

(** Slack [e] in every row of [B v <= v] gives the factor [1 - e / max v]. *)
Lemma slack_factor (R : realFieldType) (n : nat) (B : 'M[R]_n) (v : 'I_n -> R) (e : R) :
  (forall i, 0 < v i) -> 0 <= e -> (forall i, \sum_j B i j * v j <= v i - e) ->
  forall i, \sum_j B i j * v j <= (1 - e / largest v) * v i.
Proof.
move=> v_gt0 e_ge0 Bv i; have le_v := le_largest v i.
have max_gt0 := lt_le_trans (v_gt0 i) le_v.
apply: le_trans (Bv i) _; rewrite mulrBl mul1r ler_add2l ler_opp2 -mulrA.
by rewrite ler_pimulr // mulrC ler_pdivr_mulr // mul1r.
Qed.

Section Asynchronous.
Variables (R : realFieldType) (n : nat) (V : lmodType R) (N : V -> R).
Hypothesis N_triangle : forall x y, N (x + y) <= N x + N y.
Hypothesis N_scale : forall c x, N (c *: x) = `|c| * N x.

Variables (B : 'M[R]_n) (v : 'I_n -> R) (q : R).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i.
Hypothesis Bv : forall i, \sum_j B i j * v j <= q * v i.
Hypothesis q_ge0 : 0 <= q.
Hypothesis q_le1 : q <= 1.

(** [c] is the constant part of the response (own weight times own data),
    [star] its fixed point. *)
Variables c star : 'I_n -> V.
Hypothesis star_fixed : forall i, star i = c i + \sum_j B i j *: star j.

(** ** The run *)

(** [active t i]: agent [i] updates in round [t].
    [seen i j t]: the round of the value of [j] that [i] uses in round [t]. *)
Variables (active : nat -> pred 'I_n) (seen : 'I_n -> 'I_n -> nat -> nat).
Variable mu : nat -> 'I_n -> V.
Hypothesis seen_past : forall i j t, (seen i j t <= t)%N.
Hypothesis run : forall t i, mu t.+1 i =
  if active t i then c i + \sum_j B i j *: mu (seen i j t) j else mu t i.

Definition agent_error t i := N (mu t i - star i) / v i.
Definition error t := largest (agent_error t).

Lemma agent_error_ge0 t i : 0 <= agent_error t i.
Proof. by rewrite divr_ge0 ?(N_ge0 N_triangle N_scale) ?ltW. Qed.

Lemma error_ge0 t : 0 <= error t.
Proof. exact: largest_ge0. Qed.

Lemma agent_error_le t i : agent_error t i <= error t.
Proof. exact: (le_largest (agent_error t)). Qed.

(** ** One update, and what follows it *)

(** An agent that updates from values with error at most [E] has error at most
    [q E] afterwards. *)
Lemma update_error E t i : active t i ->
  (forall j, agent_error (seen i j t) j <= E) -> agent_error t.+1 i <= q * E.
Proof.
move=> act_i seenE; have E_ge0 := le_trans (agent_error_ge0 _ _) (seenE i).
rewrite /agent_error run act_i ler_pdivr_mulr // star_fixed.
rewrite opprD addrACA subrr add0r -sumrB; apply: le_trans (N_sum N_triangle N_scale _ _) _.
apply: (@le_trans _ _ (\sum_j B i j * v j * E)); last first.
  by rewrite -mulr_suml mulrAC ler_wpmul2r.
apply: ler_sum => j _; rewrite -scalerBr N_scale ger0_norm // -mulrA ler_wpmul2l //.
by rewrite mulrC -ler_pdivr_mulr //; apply: seenE.
Qed.

(** If from round [T] on only values with error at most [E] are used, an agent
    that has updated since [T] keeps its error at most [q E] for ever. *)
Lemma settled E T u i :
  (forall t j, (T <= t)%N -> agent_error (seen i j t) j <= E) ->
  (T <= u)%N -> active u i -> forall r, (u < r)%N -> agent_error r i <= q * E.
Proof.
move=> seenE Tu act_u r /subnKC <-; elim: (r - u.+1)%N => [|k IH].
  by rewrite addn0; apply: update_error act_u _ => j; apply: seenE.
rewrite addnS; have [act_k|idle] := boolP (active (u.+1 + k) i).
  by apply: update_error act_k _ => j; apply: seenE; rewrite addSn ltnW // ltnS (leq_trans Tu) // leq_addr.
by rewrite /agent_error run (negbTE idle).
Qed.

(** The error never exceeds its largest value on a window that covers all the
    values used from then on. *)
Lemma window_bound E L T :
  (forall i j t, (T <= t)%N -> (L <= seen i j t)%N) ->
  (forall u i, (L <= u <= T)%N -> agent_error u i <= E) ->
  forall u i, (L <= u)%N -> agent_error u i <= E.
Proof.
move=> seenL startE u; elim/ltn_ind: u => u IH i Lu.
have [uT|] := leqP u T; first by apply: startE; rewrite Lu.
case: u IH Lu => // t IH Lu; rewrite ltnS => Tt.
have [act_t|idle] := boolP (active t i).
  have seenE j : agent_error (seen i j t) j <= E.
    by apply: IH; rewrite ?ltnS ?seen_past // seenL.
  apply: le_trans (update_error act_t seenE) _.
  by rewrite ler_pimull // (le_trans (agent_error_ge0 _ _) (seenE i)).
have -> : agent_error t.+1 i = agent_error t i by rewrite /agent_error run (negbTE idle).
have [Lt|tL] := leqP L t; first exact: IH.
by have := leq_trans (seenL i i t Tt) (seen_past i i t); rewrite leqNgt tL.
Qed.

Lemma error_le_start t i : agent_error t i <= error 0.
Proof.
apply: (@window_bound _ 0 0) => // u j; rewrite leqn0 => /eqP->.
exact: agent_error_le.
Qed.

(** ** Total asynchrony: no bound on delays or on idle times *)

Section Total.
Hypothesis never_stops : forall i t, exists2 u, (t <= u)%N & active u i.
Hypothesis superseded : forall i j T, exists T', forall t, (T' <= t)%N -> (T <= seen i j t)%N.

Lemma all_superseded T : exists T', forall i j t, (T' <= t)%N -> (T <= seen i j t)%N.
Proof.
have /fin_all_exists[f fP] : forall p : 'I_n * 'I_n, exists T',
    forall t, (T' <= t)%N -> (T <= seen p.1 p.2 t)%N by move=> p; apply: superseded.
exists (\max_p f p) => i j t ft; apply: (fP (i, j)).
exact: leq_trans (leq_bigmax (i, j)) ft.
Qed.

(** The error falls below every power of [q], and stays there. *)
Theorem totally_asynchronous k :
  exists T, forall t, (T <= t)%N -> error t <= q ^+ k * error 0.
Proof.
elim: k => [|k [T IH]].
  exists 0%N => t _; rewrite mul1r; apply: largest_le => [|i]; first exact: error_ge0.
  exact: error_le_start.
have [T' seenT] := all_superseded T.
have /fin_all_exists2[u T'u act_u] : forall i, exists2 u, (T' <= u)%N & active u i.
  by move=> i; apply: never_stops.
exists (\max_i u i).+1 => t ut; rewrite exprS -mulrA.
apply: largest_le => [|i]; first by rewrite !mulr_ge0 ?exprn_ge0 ?error_ge0.
apply: (settled _ (T'u i) (act_u i)) => [r j T'r|].
  by apply: le_trans (agent_error_le _ _) _; apply: IH; apply: seenT.
by apply: leq_ltn_trans ut; apply: leq_bigmax.
Qed.

End Total.

(** ** Partial asynchrony: delays at most [tau], idle times less than [s] *)

Section Partial.
Variables s tau : nat.
Hypothesis update_often : forall i t, exists2 u, (t <= u < t + s)%N & active u i.
Hypothesis delay_bound : forall i j t, (t <= seen i j t + tau)%N.

(** The largest error of the rounds [t - tau], ..., [t] (from round 0 on). *)
Definition window t := largest (fun k : 'I_tau.+1 => error (t - k)%N).

Lemma window_ge0 t : 0 <= window t.
Proof. exact: largest_ge0. Qed.

Lemma error_window t u : (t - tau <= u <= t)%N -> error u <= window t.
Proof.
move=> /andP[tu ut]; have ltk : (t - u < tau.+1)%N.
  by rewrite ltnS leq_subLR addnC -leq_subLR.
have := le_largest (fun k : 'I_tau.+1 => error (t - k)%N) (Ordinal ltk).
by rewrite /= subKn.
Qed.

Lemma window_le t E : 0 <= E ->
  (forall u i, (t - tau <= u)%N -> agent_error u i <= E) -> window t <= E.
Proof.
move=> E0 errE; apply: largest_le => // k; apply: largest_le => // i.
by apply: errE; rewrite leq_sub2l // -ltnS.
Qed.

Lemma seen_recent T i j t : (T <= t)%N -> (T - tau <= seen i j t)%N.
Proof. by move=> Tt; rewrite leq_subLR addnC (leq_trans Tt). Qed.

Lemma error_after_window t u i : (t - tau <= u)%N -> agent_error u i <= window t.
Proof.
apply: (@window_bound _ _ t); first by move=> *; apply: seen_recent.
by move=> r j tr; apply: le_trans (agent_error_le _ _) _; apply: error_window.
Qed.

Lemma error_after_updates t u i : (t + s <= u)%N -> agent_error u i <= q * window t.
Proof.
move=> su; have [r /andP[tr rs] act_r] := update_often i t.
apply: (settled _ tr act_r) => [l j tl|]; last exact: leq_trans rs su.
by apply: error_after_window; apply: seen_recent.
Qed.

Theorem window_nonincreasing t : window t.+1 <= window t.
Proof.
apply: window_le => [|u i tu]; first exact: window_ge0.
by apply: error_after_window; apply: leq_trans tu; rewrite leq_sub2r.
Qed.

Theorem window_shrinks t : window (t + (s + tau)) <= q * window t.
Proof.
apply: window_le => [|u i]; first by rewrite mulr_ge0 ?window_ge0.
by rewrite addnA addnK; apply: error_after_updates.
Qed.

Lemma window0 : window 0 = error 0.
Proof.
apply/le_anti; rewrite error_window // andbT.
by apply: largest_le => [|k]; rewrite ?sub0n ?error_ge0.
Qed.

Lemma window_rate k : window (k * (s + tau)) <= q ^+ k * error 0.
Proof.
elim: k => [|k IH]; first by rewrite mul1r window0.
rewrite mulSn addnC exprS -mulrA; apply: le_trans (window_shrinks _) _.
by rewrite ler_wpmul2l.
Qed.

(** The bound holds from round [k (s + tau) - tau] on, so in particular from
    round [k (s + tau)] on. *)
Theorem bounded_delay_rate k t :
  (k * (s + tau) <= t + tau)%N -> error t <= q ^+ k * error 0.
Proof.
move=> kt; apply: largest_le => [|i]; first by rewrite mulr_ge0 ?exprn_ge0 ?error_ge0.
apply: le_trans (window_rate k); apply: error_after_window.
by rewrite leq_subLR (addnC tau).
Qed.

Corollary bounded_delay_agent k t i : (k * (s + tau) <= t)%N ->
  N (mu t i - star i) <= v i * (q ^+ k * error 0).
Proof.
move=> kt; rewrite mulrC -ler_pdivr_mulr //; apply: le_trans (agent_error_le _ _) _.
by apply: bounded_delay_rate; rewrite (leq_trans kt) // leq_addr.
Qed.

(** Bounded delays are a special case of total asynchrony. *)
Lemma partial_never_stops i t : exists2 u, (t <= u)%N & active u i.
Proof. by have [u /andP[tu _] act_u] := update_often i t; exists u. Qed.

Lemma partial_superseded i j T : exists T', forall t, (T' <= t)%N -> (T <= seen i j t)%N.
Proof.
exists (T + tau)%N => t Tt; rewrite -(leq_add2r tau).
exact: leq_trans Tt (delay_bound i j t).
Qed.

End Partial.
End Asynchronous.

(** ** Convergence over an archimedean field *)

Section Convergence.
Variable R : archiFieldType.

Lemma power_bound (q : R) k : 0 <= q <= 1 -> q ^+ k * ((1 - q) *+ k) <= 1.
Proof.
move=> /andP[q0 q1].
have tail : 0 <= 1 - q by rewrite subr_ge0.
have -> : q ^+ k * ((1 - q) *+ k) = (1 - q) * \sum_(l < k) q ^+ k.
  by rewrite sumr_const card_ord !mulrnAr mulrC.
apply: (@le_trans _ _ ((1 - q) * \sum_(l < k) q ^+ l)).
  rewrite ler_wpmul2l //; apply: ler_sum => l _.
  by rewrite ler_wiexpn2l // ltnW.
rewrite -[1 - q]opprB mulNr -subrX1 opprB ler_subl_addl ler_addr.
exact: exprn_ge0.
Qed.

(** Powers of a number below one are eventually small. *)
Lemma power_small (q e C : R) : 0 <= q < 1 -> 0 < e -> 0 <= C ->
  exists k, q ^+ k * C < e.
Proof.
move=> /andP[q0 q1] e0 C0; have gap : 0 < 1 - q by rewrite subr_gt0.
have bound_ge0 : 0 <= C / (e * (1 - q)) by rewrite divr_ge0 // mulr_ge0 ?ltW.
exists (Num.bound (C / (e * (1 - q)))); set k := Num.bound _.
have Ck : C < e * ((1 - q) *+ k).
  rewrite -mulr_natr mulrA mulrC -ltr_pdivr_mulr ?mulr_gt0 //.
  by have := archi_boundP bound_ge0.
have [->|qk] := eqVneq (q ^+ k) 0; first by rewrite mul0r.
have {}qk : 0 < q ^+ k by rewrite lt_def qk exprn_ge0.
apply: (@lt_le_trans _ _ (q ^+ k * (e * ((1 - q) *+ k)))); first by rewrite ltr_pmul2l.
by rewrite mulrCA ler_pimulr ?(ltW e0) //; apply: power_bound; rewrite q0 ltW.
Qed.

Variables (n : nat) (V : lmodType R) (N : V -> R).
Hypothesis N_triangle : forall x y, N (x + y) <= N x + N y.
Hypothesis N_scale : forall c x, N (c *: x) = `|c| * N x.
Variables (B : 'M[R]_n) (v : 'I_n -> R) (q : R).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i.
Hypothesis Bv : forall i, \sum_j B i j * v j <= q * v i.
Hypothesis q_ge0 : 0 <= q.
Hypothesis q_lt1 : q < 1.
Variables c star : 'I_n -> V.
Hypothesis star_fixed : forall i, star i = c i + \sum_j B i j *: star j.
Variables (active : nat -> pred 'I_n) (seen : 'I_n -> 'I_n -> nat -> nat).
Variable mu : nat -> 'I_n -> V.
Hypothesis seen_past : forall i j t, (seen i j t <= t)%N.
Hypothesis run : forall t i, mu t.+1 i =
  if active t i then c i + \sum_j B i j *: mu (seen i j t) j else mu t i.

Let error := error N v star mu.

Theorem asynchronous_converges :
  (forall i t, exists2 u, (t <= u)%N & active u i) ->
  (forall i j T, exists T', forall t, (T' <= t)%N -> (T <= seen i j t)%N) ->
  forall e, 0 < e -> exists T, forall t, (T <= t)%N -> error t < e.
Proof.
move=> never_stops superseded e e0.
have [|k small] := @power_small q e (error 0) _ e0 (error_ge0 _ _ _ _ _).
  by rewrite q_ge0.
have [T errT] := totally_asynchronous N_triangle N_scale B_ge0 v_gt0 Bv q_ge0
  (ltW q_lt1) star_fixed seen_past run never_stops superseded k.
by exists T => t /errT errt; apply: le_lt_trans errt small.
Qed.

Corollary bounded_delay_converges s tau :
  (forall i t, exists2 u, (t <= u < t + s)%N & active u i) ->
  (forall i j t, (t <= seen i j t + tau)%N) ->
  forall e, 0 < e -> exists T, forall t, (T <= t)%N -> error t < e.
Proof.
move=> often delay; apply: asynchronous_converges.
  exact: partial_never_stops often.
exact: partial_superseded delay.
Qed.

End Convergence.

(** ** The game *)

Section Play.
Variables (R : realFieldType) (n : nat) (a : 'M[R]_n).
Hypothesis a_stochastic : stochastic a.
Hypothesis a_grounded : grounded a.

(** [hitting_time i]: the expected number of steps until the chain with
    transition matrix [a], started at [i], stops at somebody's own data. *)
Definition hitting_time i : R := (invmx (1%:M - others a) *m const_mx 1 : 'cV[R]_n) i 0.

Lemma others_ge0 i j : 0 <= others a i j.
Proof. by rewrite mxE; case: eqP => // _; case: a_stochastic. Qed.

Lemma hitting_timeE i : \sum_j others a i j * hitting_time j = hitting_time i - 1.
Proof.
pose x : 'cV[R]_n := invmx (1%:M - others a) *m const_mx 1.
have : ((1%:M - others a) *m x) i 0 = 1.
  by rewrite mulmxA mulmxV ?unit_minus_others // mul1mx mxE.
rewrite minus_others_mulE -others_sum => /eqP.
by rewrite subr_eq addrC -subr_eq => /eqP <-.
Qed.

Lemma hitting_time_gt0 i : 0 < hitting_time i.
Proof.
have v_ge0 j : 0 <= hitting_time j.
  apply: (minimum_principle a_stochastic a_grounded) => k.
  by rewrite mulmxA mulmxV ?unit_minus_others // mul1mx mxE ler01.
have := hitting_timeE i => /eqP; rewrite eq_sym subr_eq => /eqP->.
by rewrite ltr_spaddr ?ltr01 ?sumr_ge0 // => j _; rewrite mulr_ge0 ?others_ge0.
Qed.

(** The factor [q = 1 - 1 / max v]. *)
Definition rate : R := 1 - 1 / largest hitting_time.

Lemma hitting_time_rate i : \sum_j others a i j * hitting_time j <= rate * hitting_time i.
Proof.
apply: (slack_factor hitting_time_gt0 ler01) => j.
by rewrite hitting_timeE.
Qed.

Lemma rate_le1 : rate <= 1.
Proof. by rewrite /rate div1r ler_subl_addr ler_addl invr_ge0 largest_ge0. Qed.

Lemma rate_lt1 (i : 'I_n) : rate < 1.
Proof.
rewrite /rate div1r ltr_subl_addr ltr_addl invr_gt0.
exact: lt_le_trans (hitting_time_gt0 i) (le_largest hitting_time i).
Qed.

Lemma rate_ge0 : 0 <= rate.
Proof.
have [i _|none] := pickP (@predT 'I_n); last first.
  suff -> : rate = 1 by exact: ler01.
  suff v0 : largest hitting_time = 0 by rewrite /rate v0 invr0 mulr0 subr0.
  apply/le_anti; rewrite largest_ge0 andbT; apply: largest_le => // i.
  by have := none i.
rewrite -(pmulr_lge0 _ (hitting_time_gt0 i)); apply: le_trans (hitting_time_rate i).
by apply: sumr_ge0 => j _; rewrite mulr_ge0 ?others_ge0 // ltW ?hitting_time_gt0.
Qed.

(** *** The asynchronous run of the game *)

Variables (V : lmodType R) (N : V -> R).
Hypothesis N_triangle : forall x y, N (x + y) <= N x + N y.
Hypothesis N_scale : forall c x, N (c *: x) = `|c| * N x.
Variables (m : {ffun 'I_n -> V}) (mu : nat -> 'I_n -> V).
Variables (active : nat -> pred 'I_n) (seen : 'I_n -> 'I_n -> nat -> nat).

(** In round [t] the agents in [active t] give their best response to the last
    message that they have received from each other agent. *)
Definition asynchronous_run :=
  (forall i j t, (seen i j t <= t)%N) /\
  forall t i, mu t.+1 i =
    if active t i then a i i *: m i + \sum_(j | j != i) a i j *: mu (seen i j t) j
    else mu t i.

Definition equilibrium i := act (mixture a) m i.

Lemma others_scale i (f : 'I_n -> V) :
  \sum_j others a i j *: f j = \sum_(j | j != i) a i j *: f j.
Proof.
rewrite [RHS]big_mkcond; apply: eq_bigr => j _; rewrite mxE.
by case: eqP => //; rewrite scale0r.
Qed.

Lemma equilibrium_fixed i :
  equilibrium i = a i i *: m i + \sum_j others a i j *: equilibrium j.
Proof.
have /ffunP/(_ i) := (fixed_point_mixture a_stochastic a_grounded m _).2 erefl.
by rewrite responseE -others_scale.
Qed.

Lemma run_others : asynchronous_run -> forall t i, mu t.+1 i =
  if active t i then a i i *: m i + \sum_j others a i j *: mu (seen i j t) j
  else mu t i.
Proof. by case=> _ run t i; rewrite run (others_scale i (fun j => mu (seen i j t) j)). Qed.

Definition play_error := error N hitting_time equilibrium mu.

Theorem asynchronous_play s tau : asynchronous_run ->
  (forall i t, exists2 u, (t <= u < t + s)%N & active u i) ->
  (forall i j t, (t <= seen i j t + tau)%N) ->
  forall k t, (k * (s + tau) <= t + tau)%N ->
    play_error t <= rate ^+ k * play_error 0.
Proof.
move=> play often delay k t kt; have run := run_others play; case: play => seen_past _.
exact: (bounded_delay_rate N_triangle N_scale others_ge0 hitting_time_gt0
  hitting_time_rate rate_ge0 rate_le1 equilibrium_fixed seen_past run often delay kt).
Qed.

End Play.

(** Anchored play converges under total asynchrony. *)
Theorem asynchronous_play_converges (R : archiFieldType) (n : nat) (a : 'M[R]_n)
    (V : lmodType R) (N : V -> R) (m : {ffun 'I_n -> V}) (mu : nat -> 'I_n -> V)
    (active : nat -> pred 'I_n) (seen : 'I_n -> 'I_n -> nat -> nat) :
  (forall x y, N (x + y) <= N x + N y) -> (forall c x, N (c *: x) = `|c| * N x) ->
  stochastic a -> grounded a -> asynchronous_run a m mu active seen ->
  (forall i t, exists2 u, (t <= u)%N & active u i) ->
  (forall i j T, exists T', forall t, (T' <= t)%N -> (T <= seen i j t)%N) ->
  forall e, 0 < e -> exists T, forall t, (T <= t)%N -> play_error a N m mu t < e.
Proof.
move=> triangle scale st gr play never_stops superseded e e0.
have [i _|none] := pickP (@predT 'I_n); last first.
  by exists 0%N => t _; apply: largest_lt => // i; have := none i.
have run := run_others play; case: play => seen_past _.
exact: (asynchronous_converges triangle scale (others_ge0 st) (hitting_time_gt0 st gr)
  (hitting_time_rate st gr) (rate_ge0 st gr) (rate_lt1 st gr i)
  (equilibrium_fixed st gr m) seen_past run never_stops superseded e0).
Qed.

Print Assumptions slack_factor.
Print Assumptions window_nonincreasing.
Print Assumptions window_shrinks.
Print Assumptions bounded_delay_rate.
Print Assumptions totally_asynchronous.
Print Assumptions asynchronous_converges.
Print Assumptions bounded_delay_converges.
Print Assumptions asynchronous_play.
Print Assumptions asynchronous_play_converges.
